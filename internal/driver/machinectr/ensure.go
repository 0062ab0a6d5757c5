package machinectr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const opEnsure = "EnsureVM"

// ensuring is one EnsureVM: what is wanted, and what was there.
type ensuring struct {
	*Driver
	req hostapi.EnsureVMRequest
	*parts
}

// EnsureVM implements hostapi.Driver.
func (d *Driver) EnsureVM(ctx context.Context, req hostapi.EnsureVMRequest) (hostapi.VM, error) {
	if err := req.Validate(); err != nil {
		return hostapi.VM{}, err
	}
	p, err := d.parts(ctx, opEnsure, req.Stamp.ID)
	if err != nil {
		return hostapi.VM{}, err
	}
	if err := p.checkOwned(opEnsure, req.Stamp); err != nil {
		return hostapi.VM{}, err
	}
	e := &ensuring{Driver: d, req: req, parts: p}
	// What can be refused is refused before anything is changed.
	for _, check := range []func() error{e.checkVolumes, e.checkDisks, e.checkNICs, e.checkSettings} {
		if err := check(); err != nil {
			return hostapi.VM{}, err
		}
	}
	// The claim comes before anything that could be doubled, the configuration,
	// without which nothing starts, after everything that a guest could miss.
	for _, step := range []func(context.Context) error{
		e.writeClaim, e.powerOff, e.makeDisks, e.changeSeed, e.configure, e.start,
	} {
		if err := step(ctx); err != nil {
			return hostapi.VM{}, err
		}
	}
	return d.get(ctx, opEnsure, req.Stamp.ID)
}

func (e *ensuring) conflict(resource, format string, args ...any) error {
	return hostapi.Errorf(hostapi.Conflict, opEnsure, resource, "VM %s: %s", e.id, fmt.Sprintf(format, args...))
}

// change is one effect on the VM, at a volume if that is not "".
func (e *ensuring) change(ctx context.Context, volume, doing string, effect func() error) error {
	return typed(opEnsure, volume, fmt.Sprintf("%s of VM %s", doing, e.id), e.Driver.change(ctx, effect))
}

func (e *ensuring) checkVolumes() error {
	for _, want := range e.req.Disks {
		if _, err := e.usable(opEnsure, want.Volume); err != nil {
			return err
		}
	}
	return nil
}

func (e *ensuring) checkNICs() error {
	for _, want := range e.req.NICs {
		if e.config != nil {
			i := slices.IndexFunc(e.config.NICs, func(n hostapi.NIC) bool { return n.MAC == want.MAC })
			if i < 0 && e.guest.on && e.req.Power == hostapi.PowerOn {
				return e.conflict(want.Switch, "a NIC can be added when the VM is off")
			}
			if i >= 0 && e.config.NICs[i] != want {
				have := e.config.NICs[i]
				return e.conflict(want.Switch, "NIC %s is on switch %s with VLAN %d, not on %s with %d", want.MAC, have.Switch, have.VLAN, want.Switch, want.VLAN)
			}
		}
		if _, err := e.findSwitch(opEnsure, want.Switch); err != nil {
			return err
		}
	}
	return nil
}

func (e *ensuring) checkSettings() error {
	if e.req.OS != hostapi.Linux {
		return hostapi.Errorf(hostapi.InvalidArgument, opEnsure, "", "VM %s: a machine container runs Linux, not %q", e.id, e.req.OS)
	}
	if e.req.Processors > e.Processors {
		return hostapi.Errorf(hostapi.OutOfCapacity, opEnsure, hostapi.ResourceProcessors,
			"VM %s: %d processors are wanted, and host %s has %d", e.id, e.req.Processors, e.Host, e.Processors)
	}
	if e.req.Power != hostapi.PowerOn {
		return nil
	}
	if e.guest.on && e.config != nil {
		if e.config.Processors != e.req.Processors || e.config.MemoryMiB != e.req.MemoryMiB {
			return e.conflict("", "processors and memory can be changed when the VM is off")
		}
		return nil
	}
	return e.checkMemory(opEnsure, e.id, e.req.MemoryMiB)
}

// writeClaim says where files will be, before there are any.
func (e *ensuring) writeClaim(ctx context.Context) error {
	volumes := []string{}
	if e.claim != nil {
		volumes = append(volumes, e.claim.Volumes...)
	}
	for _, want := range e.req.Disks {
		if !slices.Contains(volumes, want.Volume) {
			volumes = append(volumes, want.Volume)
		}
	}
	if e.claim != nil && len(volumes) == len(e.claim.Volumes) {
		return nil
	}
	return e.change(ctx, "", "write the claim", func() error {
		return putJSON(e.claimPath(e.id), claim{Stamp: e.req.Stamp, Volumes: volumes})
	})
}

func (e *ensuring) powerOff(ctx context.Context) error {
	if e.req.Power != hostapi.PowerOff {
		return nil
	}
	if err := e.shutDown(ctx, opEnsure, e.parts, shutDownTime); err != nil {
		return err
	}
	e.guest = guest{}
	return nil
}

// configure makes the VM or changes its settings.
func (e *ensuring) configure(ctx context.Context) error {
	r := e.req
	want := config{
		Stamp: r.Stamp, Name: r.Name, Owner: r.Owner, OS: r.OS, Processors: r.Processors, MemoryMiB: r.MemoryMiB, Disks: r.Disks, NICs: r.NICs,
	}
	// What was made once stays until the VM goes, as a request may name less.
	if e.config != nil {
		for _, have := range e.config.Disks {
			if !slices.ContainsFunc(want.Disks, func(d hostapi.Disk) bool { return d.Name == have.Name }) {
				want.Disks = append(slices.Clip(want.Disks), have)
			}
		}
		for _, have := range e.config.NICs {
			if !slices.ContainsFunc(want.NICs, func(n hostapi.NIC) bool { return n.MAC == have.MAC }) {
				want.NICs = append(slices.Clip(want.NICs), have)
			}
		}
		if sameJSON(want, *e.config) {
			return nil
		}
	}
	err := e.change(ctx, "", "write the configuration", func() error { return putJSON(e.configPath(e.id), want) })
	e.config = &want
	return err
}

func (e *ensuring) start(ctx context.Context) error {
	if e.req.Power != hostapi.PowerOn {
		return nil
	}
	// The disks are not as they were found.
	p, err := e.Driver.parts(ctx, opEnsure, e.id)
	if err != nil {
		return err
	}
	return e.powerOn(ctx, opEnsure, p)
}

// makeFolder makes a folder that appears whole, with its stamp in it, or not at
// all.
func (e *ensuring) makeFolder(ctx context.Context, v Volume, folder, what string, steps ...func(part string) error) error {
	part := folder + partial
	if slices.Contains(e.unmade, part) {
		if err := e.change(ctx, v.Name, "remove what is left", func() error { return os.RemoveAll(part) }); err != nil {
			return err
		}
	}
	if err := e.change(ctx, v.Name, "make the folder", func() error { return os.MkdirAll(part, 0o700) }); err != nil {
		return err
	}
	for _, step := range steps {
		if err := e.change(ctx, v.Name, "write "+what, func() error { return step(part) }); err != nil {
			return err
		}
	}
	return e.change(ctx, v.Name, "put "+what+" in its place", func() error {
		// A rename replaces an empty folder, which may be somebody's.
		if _, err := os.Lstat(folder); !errors.Is(err, os.ErrNotExist) {
			return errors.Join(err, hostapi.Errorf(hostapi.NotOwned, opEnsure, v.Name, "%s is somebody else's", filepath.Base(folder)))
		}
		return os.Rename(part, folder)
	})
}
