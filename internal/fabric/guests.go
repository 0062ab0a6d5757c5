package fabric

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// boot starts the guest of a VM after a while. The world is locked.
func (w *World) boot(v *vm, after time.Duration) {
	v.power++
	power := v.power
	w.later(after, func() { w.startGuest(v, power) })
}

// startGuest runs a guest, unless the VM lost its power meanwhile.
func (w *World) startGuest(v *vm, power int) {
	v.guestMu.Lock()
	defer v.guestMu.Unlock()
	var machine Machine
	var seed string
	var halted error
	ctx, cut := context.WithCancel(context.Background())
	if err := w.locked(func() error {
		if v.power != power {
			return fmt.Errorf("VM %s was switched off while it booted", v.GUID)
		}
		v.cut = cut
		machine, seed = w.machine(v)
		halted = CheckSecureBoot(v.SecureBoot, machine.OS)
		return nil
	}); err != nil {
		cut()
		return
	}
	if halted != nil {
		// The VM stays on, with nothing in it that could answer.
		w.heard(v, power, Report{Console: []string{"firmware: " + halted.Error()}})
		return
	}
	machine.Seed, _ = readSeed(seed)
	guest, err := w.Guests.Start(ctx, machine, func(r Report) { w.heard(v, power, r) })
	if err != nil {
		w.heard(v, power, Report{Console: []string{"boot: " + err.Error()}})
		return
	}
	var unplugged bool
	if err := w.update(func(*tx) error {
		if v.power != power {
			return fmt.Errorf("VM %s was switched off while its guest started", v.GUID)
		}
		v.guest, v.Heartbeat = guest, fabricapi.HeartbeatOK
		unplugged = v.node().unplugged
		return nil
	}); err != nil {
		guest.Stop()
		return
	}
	if unplugged {
		if err := guest.Link(false); err != nil {
			w.heard(v, power, Report{Console: []string{"network: " + err.Error()}})
		}
	}
}

// machine is what a VM's firmware shows to its guest, and where the seed's
// content is.
func (w *World) machine(v *vm) (Machine, string) {
	m := Machine{GUID: v.GUID, Name: v.Name}
	for _, nic := range v.NICs {
		m.MACs = append(m.MACs, nic.MAC)
	}
	if len(v.Disks) > 0 {
		if disk := v.site.find(v.Disks[0]); disk != nil {
			m.DiskDir = w.diskDir(disk)
			if parent := v.site.find(fabricapi.FileRef{Volume: disk.Volume, Path: disk.Parent}); parent != nil && parent.Image != nil {
				m.OS, m.KubernetesVersion, m.Fault = parent.Image.OS, parent.Image.KubernetesVersion, parent.Image.Fault
			}
		}
	}
	if v.ISO != nil {
		if iso := v.site.find(*v.ISO); iso != nil {
			return m, w.isoPath(iso)
		}
	}
	return m, ""
}

func readSeed(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// heard takes what a guest tells its host.
func (w *World) heard(v *vm, power int, r Report) {
	_ = w.update(func(*tx) error {
		if v.power != power {
			return nil
		}
		for i := range v.NICs {
			if addresses, ok := r.Addresses[v.NICs[i].MAC]; ok {
				v.NICs[i].Addresses = addresses
			}
		}
		v.Console = append(v.Console, r.Console...)
		if over := len(v.Console) - consoleLines; over > 0 {
			v.Console = v.Console[over:]
		}
		return nil
	})
}

// haltGuest takes the power from a VM's guest. The guest is gone once the change
// is finished. The world is locked.
func (w *World) haltGuest(t *tx, v *vm) {
	v.power++
	guest := v.guest
	v.guest, v.Heartbeat = nil, ""
	for i := range v.NICs {
		v.NICs[i].Addresses = nil
	}
	if v.cut != nil {
		v.cut()
		v.cut = nil
	}
	t.then(func() {
		// Whoever starts a guest now sees that it must not, and stops it.
		v.guestMu.Lock()
		defer v.guestMu.Unlock()
		if guest != nil {
			guest.Stop()
		}
	})
}
