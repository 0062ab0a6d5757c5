package machinectr

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// fault tells what is wrong with a volume, as the kernel sees it. An empty folder
// in place of what was recorded is a volume that is not there.
func (d *Driver) fault(v Volume) hostapi.VolumeFault {
	if v.Bytes > 0 && !v.mounted() {
		return hostapi.VolumeDismounted
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(v.vms(), &fs); errors.Is(err, syscall.ENOENT) {
		return hostapi.VolumeDismounted
	} else if err != nil || fs.Flags&syscall.MS_RDONLY != 0 {
		return hostapi.VolumeNoAccess
	}
	known, err := getJSON[volume](d.volumePath(v))
	if err != nil {
		return hostapi.VolumeNoAccess
	}
	found, err := getJSON[volume](v.record())
	switch {
	case err != nil:
		return hostapi.VolumeNoAccess
	case known == nil || found == nil || found.ID == "" || *found != *known:
		return hostapi.VolumeDismounted
	}
	return hostapi.VolumeHealthy
}

// mounted tells whether a file system of its own is at the volume's path.
func (v Volume) mounted() bool {
	var here, above syscall.Stat_t
	return syscall.Stat(v.Path, &here) == nil && syscall.Stat(filepath.Dir(v.Path), &above) == nil && here.Dev != above.Dev
}

// backing is the file of a volume that is a file system of its own.
func (v Volume) backing() string { return v.Path + ".img" }

// usable returns the volume of a name, or a VolumeFaulted error.
func (d *Driver) usable(op, name string) (Volume, error) {
	i := slices.IndexFunc(d.Volumes, func(v Volume) bool { return v.Name == name })
	if i < 0 {
		return Volume{}, hostapi.Errorf(hostapi.VolumeFaulted, op, name, "host %s has no volume %s", d.Host, name)
	}
	if fault := d.fault(d.Volumes[i]); fault != hostapi.VolumeHealthy {
		return Volume{}, hostapi.Errorf(hostapi.VolumeFaulted, op, name, "volume %s cannot be used: %s", name, fault)
	}
	return d.Volumes[i], nil
}

// healthy are the volumes that can be read now.
func (d *Driver) healthy() []Volume {
	return slices.DeleteFunc(slices.Clone(d.Volumes), func(v Volume) bool { return d.fault(v) != hostapi.VolumeHealthy })
}

func (d *Driver) describeVolume(v Volume) (hostapi.Volume, error) {
	out := hostapi.Volume{Name: v.Name, Fault: d.fault(v)}
	if out.Fault != hostapi.VolumeHealthy {
		return out, nil
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(v.Path, &fs); err != nil {
		return out, typed("Inventory", v.Name, "measure volume "+v.Name, err)
	}
	out.Bytes, out.FreeBytes = int64(fs.Blocks)*fs.Bsize, int64(fs.Bavail)*fs.Bsize
	ids, err := names(v.vms())
	if err != nil {
		return out, typed("Inventory", v.Name, "list the VMs on volume "+v.Name, err)
	}
	for _, id := range ids {
		p := &parts{id: hostapi.VMID(id)}
		if err := p.readVolume(v); err != nil {
			return out, typed("Inventory", v.Name, "list the disks on volume "+v.Name, err)
		}
		for _, f := range p.disks {
			out.ProvisionedBytes += f.record.Bytes
		}
	}
	return out, nil
}

// prepare brings the volume up after a boot of the machine. One that was in use
// before, and is not there or is another, is faulted until it is back: VMs have
// disks on it.
func (d *Driver) prepare(ctx context.Context, v Volume) error {
	known, err := getJSON[volume](d.volumePath(v))
	if err != nil {
		return fmt.Errorf("read the record of volume %s: %w", v.Name, err)
	}
	if known == nil {
		if err := d.takeIntoUse(ctx, v); err != nil {
			return fmt.Errorf("take volume %s into use: %w", v.Name, err)
		}
		return nil
	}
	if v.Bytes > 0 && !v.mounted() {
		err = d.change(ctx, func() error { return v.mount(ctx) })
	}
	if fault := d.fault(v); fault != hostapi.VolumeHealthy {
		d.Logger.WarnContext(ctx, "A volume is not as it was left; VMs on it cannot be used", "volume", v.Name, "path", v.Path, "fault", fault, "error", err)
	}
	// An agent that is stopped meanwhile has not come up.
	return ctx.Err()
}

// takeIntoUse makes a volume known that was not before. It keeps the identity
// that another folder of this host may have given it.
func (d *Driver) takeIntoUse(ctx context.Context, v Volume) error {
	if v.Bytes > 0 && !v.mounted() {
		if err := d.change(ctx, v.makeBacking(ctx)); err != nil {
			return err
		}
		if err := d.change(ctx, func() error { return v.mount(ctx) }); err != nil {
			return err
		}
	}
	if _, err := os.Stat(v.Path); err != nil {
		return err
	}
	if err := d.change(ctx, func() error { return errors.Join(os.MkdirAll(v.vms(), 0o700), os.MkdirAll(v.images(), 0o700)) }); err != nil {
		return err
	}
	found, err := getJSON[volume](v.record())
	if err != nil {
		return err
	}
	if found == nil || found.ID == "" {
		found = &volume{ID: rand.Text()}
		if err := d.change(ctx, func() error { return putJSON(v.record(), found) }); err != nil {
			return err
		}
	}
	return d.change(ctx, func() error { return putJSON(d.volumePath(v), found) })
}

// makeBacking makes the volume's file unless it is there.
func (v Volume) makeBacking(ctx context.Context) func() error {
	return func() error {
		if _, err := os.Stat(v.backing()); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		// It gets its name once it is whole.
		part := v.backing() + partial
		if err := errors.Join(os.MkdirAll(filepath.Dir(v.Path), 0o700), makeFileSystem(ctx, part, v.Bytes)); err != nil {
			return err
		}
		return os.Rename(part, v.backing())
	}
}

func (v Volume) mount(ctx context.Context) error {
	if err := os.MkdirAll(v.Path, 0o700); err != nil {
		return err
	}
	_, err := run(ctx, "mount", "-o", "loop,noinit_itable,errors=remount-ro", v.backing(), v.Path)
	return err
}

func (v Volume) unmount(ctx context.Context) error {
	// The image below a guest that has just ended may be in use for a moment, and so
	// may the file system by its mount namespace.
	var refused error
	err := until(ctx, func() (bool, error) {
		if busy, err := attached([]string{v.Path}); busy || err != nil {
			return false, err
		}
		_, refused = run(ctx, "umount", v.Path)
		return refused == nil, nil
	})
	return errors.Join(err, refused)
}

// makeFileSystem makes a sparse file with an empty file system in it. What loses
// power with the machine is made anew, so there is no journal to slow it down.
func makeFileSystem(ctx context.Context, path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	_, err = run(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", path)
	return err
}

// attached tells whether the kernel has still a loop device on a file below one
// of the folders.
func attached(folders []string) (bool, error) {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return false, err
	}
	for _, file := range files {
		// A device that goes meanwhile is none.
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, folder := range folders {
			if strings.HasPrefix(string(text), folder+"/") {
				return true, nil
			}
		}
	}
	return false, nil
}

// names returns the names in a folder, of what is there and not being made.
func names(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, entry := range entries {
		out = append(out, entry.Name())
	}
	return out, err
}
