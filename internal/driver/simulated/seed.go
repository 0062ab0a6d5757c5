package simulated

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// seedDVD makes the seed be as the request says: there with this content, left
// alone, or destroyed.
func (e *ensuring) seedDVD(ctx context.Context) error {
	have := e.seed()
	if have != nil && !e.req.KeepSeed && have.Checksum != checksumOf(e.req.Seed) {
		if err := e.destroySeed(ctx, *have); err != nil {
			return err
		}
		have = nil
	}
	ref := seedRef(e.id, e.req.Disks[0].Volume)
	switch {
	case have != nil:
		ref = have.FileRef
	case e.req.Seed == nil:
		return nil
	default:
		_, err := e.host.WriteISO(ctx, fabricapi.WriteISORequest{FileRef: ref, Stamp: stampOf(e.req.Stamp), Content: e.req.Seed})
		if err != nil {
			return e.typed("write the seed", err)
		}
	}
	if e.now.ISO != nil && *e.now.ISO == ref {
		return nil
	}
	if e.now.ISO != nil {
		return hostapi.Errorf(hostapi.NotOwned, "EnsureVM", "", "the DVD drive of VM %s holds somebody else's %s", e.id, e.now.ISO.Path)
	}
	vm, err := e.host.AttachISO(ctx, e.now.GUID, ref)
	if err != nil {
		return e.typed("attach the seed", err)
	}
	e.now = vm
	return nil
}

func (e *ensuring) destroySeed(ctx context.Context, seed fabricapi.File) error {
	if e.now.ISO != nil && *e.now.ISO == seed.FileRef {
		vm, err := e.host.EjectISO(ctx, e.now.GUID)
		if err != nil {
			return e.typed("detach the seed", err)
		}
		e.now = vm
	}
	return e.typed("destroy the seed", e.host.DeleteFile(ctx, seed.FileRef))
}

// checksumOf returns what no file has for a seed that shall not be.
func checksumOf(seed []byte) string {
	if seed == nil {
		return "none"
	}
	return fmt.Sprintf("%x", sha256.Sum256(seed))
}
