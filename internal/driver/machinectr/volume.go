package machinectr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// fault tells what is wrong with a volume, as the kernel sees it.
func (v Volume) fault() hostapi.VolumeFault {
	if v.Bytes > 0 && !v.mounted() {
		return hostapi.VolumeDismounted
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(v.vms(), &fs); errors.Is(err, syscall.ENOENT) {
		return hostapi.VolumeDismounted
	} else if err != nil || fs.Flags&syscall.MS_RDONLY != 0 {
		return hostapi.VolumeNoAccess
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
	if fault := d.Volumes[i].fault(); fault != hostapi.VolumeHealthy {
		return Volume{}, hostapi.Errorf(hostapi.VolumeFaulted, op, name, "volume %s cannot be used: %s", name, fault)
	}
	return d.Volumes[i], nil
}

// healthy are the volumes that can be read now.
func (d *Driver) healthy() []Volume {
	return slices.DeleteFunc(slices.Clone(d.Volumes), func(v Volume) bool { return v.fault() != hostapi.VolumeHealthy })
}

func (d *Driver) describeVolume(v Volume) (hostapi.Volume, error) {
	out := hostapi.Volume{Name: v.Name, Fault: v.fault()}
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

// prepare brings the volume up after a boot of the machine.
func (d *Driver) prepare(ctx context.Context, v Volume) error {
	if v.Bytes > 0 && !v.mounted() {
		if err := d.change(ctx, func() error { return v.mount(ctx) }); err != nil {
			return fmt.Errorf("mount volume %s: %w", v.Name, err)
		}
	}
	if v.Bytes == 0 {
		if _, err := os.Stat(v.Path); err != nil {
			return fmt.Errorf("volume %s: %w", v.Name, err)
		}
	}
	return d.change(ctx, func() error { return errors.Join(os.MkdirAll(v.vms(), 0o700), os.MkdirAll(v.images(), 0o700)) })
}

func (v Volume) mount(ctx context.Context) error {
	if err := os.MkdirAll(v.Path, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(v.backing()); errors.Is(err, os.ErrNotExist) {
		// It gets its name once it is whole.
		part := v.backing() + partial
		if err := makeFileSystem(ctx, part, v.Bytes); err != nil {
			return err
		}
		if err := os.Rename(part, v.backing()); err != nil {
			return err
		}
	}
	_, err := run(ctx, "mount", "-o", "loop,noinit_itable,errors=remount-ro", v.backing(), v.Path)
	return err
}

func (v Volume) unmount(ctx context.Context) error {
	// The image below a guest that has just ended may be in use for a moment.
	err := until(ctx, func() (bool, error) {
		busy, err := attached([]string{v.Path})
		return !busy, err
	})
	if err == nil {
		_, err = run(ctx, "umount", v.Path)
	}
	return err
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
