package machinectr

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/bootstrap/iso9660"
)

const (
	// seedMount is the folder below a guest's own that the guest sees as its seed.
	// Its content comes and goes while the guest runs.
	seedMount = "seed"
	// seedLabel is how the NoCloud data source knows its disc.
	seedLabel = "cidata"
	// maxSeedFile bounds what is read of one file of a seed.
	maxSeedFile = 8 << 20
)

// changeSeed makes the seed be as the request says: there with this content,
// left alone, or destroyed.
func (e *ensuring) changeSeed(ctx context.Context) error {
	sum := fmt.Sprintf("%x", sha256.Sum256(e.req.Seed))
	if err := e.finishSeeds(ctx); err != nil {
		return err
	}
	kept := e.req.KeepSeed
	for _, f := range e.seeds {
		if e.req.KeepSeed || e.req.Seed != nil && f.record.SHA256 == sum && f.volume.Name == e.req.Disks[0].Volume {
			kept = true
			continue
		}
		if err := e.destroySeed(ctx, f); err != nil {
			return err
		}
	}
	if !kept && e.req.Seed != nil {
		if err := e.writeSeed(ctx, sum); err != nil {
			return err
		}
	}
	if !e.guest.on {
		return nil
	}
	// A call that was cut off may have left the two different.
	p, err := e.Driver.parts(ctx, opEnsure, e.id)
	if err != nil || e.Driver.inserted(p) {
		return err
	}
	return e.change(ctx, "", "insert the seed", func() error { return e.insertSeed(p) })
}

// finishSeeds removes seeds that were being written or destroyed: there are
// secrets in them.
func (e *ensuring) finishSeeds(ctx context.Context) error {
	for _, v := range e.healthy() {
		part := v.seed(e.id) + partial
		if !slices.Contains(e.unmade, part) {
			continue
		}
		if err := e.change(ctx, v.Name, "remove what is left of a seed", func() error { return removeStamped(part) }); err != nil {
			return err
		}
		e.unmade = slices.DeleteFunc(e.unmade, func(folder string) bool { return folder == part })
	}
	return nil
}

// destroySeed takes the seed out of the running guest before its file goes, so
// that a call that is cut off is gone on with.
func (e *ensuring) destroySeed(ctx context.Context, f foundSeed) error {
	mounted := filepath.Join(e.runPath(e.id), seedMount)
	left, err := names(mounted)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		if err := e.change(ctx, "", "take out the seed", func() error { return empty(mounted) }); err != nil {
			return err
		}
	}
	return e.change(ctx, f.volume.Name, "destroy the seed", func() error { return removeStamped(f.folder) })
}

func (e *ensuring) writeSeed(ctx context.Context, sum string) error {
	v, err := e.usable(opEnsure, e.req.Disks[0].Volume)
	if err != nil {
		return err
	}
	return e.makeFolder(ctx, v, v.seed(e.id), "the seed", func(part string) error {
		if err := os.WriteFile(filepath.Join(part, seedFile), e.req.Seed, 0o600); err != nil {
			return err
		}
		return putJSON(filepath.Join(part, seedRecord), seed{Stamp: e.req.Stamp, SHA256: sum})
	})
}

// insertedPath holds the checksum of the seed that the guest sees.
func (d *Driver) insertedPath(p *parts) string {
	return filepath.Join(d.runPath(p.id), seedMount+".sha256")
}

// inserted tells whether the guest sees the seed that there is.
func (d *Driver) inserted(p *parts) bool {
	sum, err := os.ReadFile(d.insertedPath(p))
	return err == nil && string(sum) == p.seedSum()
}

func (p *parts) seedSum() string {
	if len(p.seeds) == 0 {
		return "none"
	}
	return p.seeds[0].record.SHA256
}

// insertSeed lets the guest see the seed's files, or none. Not every kernel can
// mount the seed's disc. A disc that cannot be read is none to the guest, as in
// a VM.
func (d *Driver) insertSeed(p *parts) error {
	folder := filepath.Join(d.runPath(p.id), seedMount)
	if err := errors.Join(os.MkdirAll(folder, 0o700), empty(folder)); err != nil {
		return err
	}
	if len(p.seeds) > 0 {
		from := p.seeds[0]
		disc, err := os.ReadFile(filepath.Join(from.folder, seedFile))
		if err != nil {
			return typed("", from.volume.Name, "read the seed", err)
		}
		files, err := readSeed(disc)
		if err != nil {
			files = nil
		}
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(d.insertedPath(p), []byte(p.seedSum()), 0o600)
}

// empty removes what is in a folder and leaves the folder, which a guest may
// have mounted.
func empty(folder string) error {
	entries, err := names(folder)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(folder, entry)))
	}
	return err
}

// readSeed returns the files of a NoCloud disc.
func readSeed(disc []byte) (map[string][]byte, error) {
	is, err := iso9660.Read(disc, maxSeedFile)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(is.Label, seedLabel) {
		return nil, fmt.Errorf("the disc's label is %q, not %q", is.Label, seedLabel)
	}
	files := map[string][]byte{}
	for name, content := range is.Files {
		// Without Rock Ridge, Linux shows names in lower case.
		if name = strings.ToLower(name); name == filepath.Base(name) {
			files[name] = content
		}
	}
	return files, nil
}
