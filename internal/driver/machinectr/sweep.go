package machinectr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// guests are the IDs of which the machine has a control group or a folder of a
// running guest.
func (d *Driver) guests() ([]hostapi.VMID, error) {
	ids, err := d.runFolders()
	for _, h := range d.groups.mounts {
		entries, readErr := os.ReadDir(d.groups.of(h, ""))
		if readErr != nil && !gone(readErr) {
			err = errors.Join(err, readErr)
		}
		for _, entry := range entries {
			if entry.IsDir() {
				ids = append(ids, hostapi.VMID(entry.Name()))
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// sweep removes what a driver that was killed left of guests that are no more. A
// guest that runs is never touched, whatever is known of it.
func (d *Driver) sweep(ctx context.Context) error {
	ids, err := d.guests()
	if err != nil {
		return fmt.Errorf("look for what is left of guests: %w", err)
	}
	for _, id := range ids {
		p, err := d.parts(ctx, "sweep", id)
		if err != nil {
			return err
		}
		if !p.none() || p.guest.on {
			continue
		}
		err = d.change(ctx, func() error {
			return errors.Join(d.removeNICs(ctx, id), d.groups.remove(ctx, id), d.removeRunFolder(id))
		})
		if err != nil {
			return fmt.Errorf("remove what is left of guest %s: %w", id, err)
		}
	}
	return nil
}

// CutPower ends every guest of the host at once, as a power failure does. What
// lies in the host's folders stays.
func (d *Driver) CutPower(ctx context.Context) error {
	ids, err := d.guests()
	if err != nil {
		return fmt.Errorf("look for guests: %w", err)
	}
	for _, id := range ids {
		p, err := d.parts(ctx, "CutPower", id)
		if err == nil {
			err = d.turnOff(ctx, "CutPower", p)
		}
		if err == nil {
			err = errors.Join(d.removeNICs(ctx, id), d.groups.remove(ctx, id), d.removeRunFolder(id))
		}
		if err != nil {
			return fmt.Errorf("take the power from guest %s: %w", id, err)
		}
	}
	return nil
}

// TearDown takes the host off the machine: guests, control groups, mounts, and
// bridges that no other host's guests are on. Its folders and its volumes' files
// stay, for whoever wants them; New brings the host back.
func (d *Driver) TearDown(ctx context.Context) error {
	if err := d.CutPower(ctx); err != nil {
		return err
	}
	for _, h := range d.groups.mounts {
		for _, group := range []string{d.groups.of(h, ""), filepath.Dir(d.groups.of(h, ""))} {
			// The topmost group is in use as long as another host is on the machine.
			if err := removeFile(group); err != nil && !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.ENOTEMPTY) {
				return fmt.Errorf("remove control group %s: %w", group, err)
			}
		}
	}
	for _, v := range d.Volumes {
		if v.Bytes > 0 && v.mounted() {
			if err := v.unmount(ctx); err != nil {
				return fmt.Errorf("unmount volume %s: %w", v.Name, err)
			}
		}
	}
	return errors.Join(removeEmpty(d.runs()), removeEmpty(d.RunDir), d.removeBridges(ctx), d.Close())
}
