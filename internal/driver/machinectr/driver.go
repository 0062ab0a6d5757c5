package machinectr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Driver is a hostapi.Driver of machine containers.
type Driver struct {
	Options
	version string
	groups  cgroups
	// locks are what keeps other drivers off the host's folders.
	locks []*os.File
	// before is called before each change of the machine. Tests cut the driver off
	// there.
	before func() error
}

var _ hostapi.Driver = (*Driver)(nil)

// New brings the host up, as its boot would, and returns its driver: volumes are
// mounted and switches made. Guests that run go on.
func New(ctx context.Context, options Options) (*Driver, error) {
	o, err := options.complete()
	if err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("machine containers need root: namespaces, mounts and control groups are made for them")
	}
	version, err := hypervisorVersion(ctx)
	if err != nil {
		return nil, err
	}
	groups, err := findCgroups(o.Host)
	if err != nil {
		return nil, err
	}
	d := &Driver{Options: o, version: version, groups: groups}
	if err := d.bringUp(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Driver) bringUp(ctx context.Context) error {
	for _, folder := range []string{filepath.Join(d.Dir, "claims"), filepath.Join(d.Dir, "vms"), filepath.Join(d.Dir, "volumes"), d.RunDir} {
		if err := d.change(ctx, func() error { return os.MkdirAll(folder, 0o700) }); err != nil {
			return fmt.Errorf("make folder %s: %w", folder, err)
		}
	}
	if err := d.lockFolders(ctx); err != nil {
		return err
	}
	for _, v := range d.Volumes {
		if err := d.prepare(ctx, v); err != nil {
			return err
		}
	}
	for _, s := range d.Switches {
		if err := d.ensureBridge(ctx, s, 0); err != nil {
			return err
		}
	}
	return d.sweep(ctx)
}

// programs are what the driver and launch.sh run, by the package that has them.
var programs = map[string]string{
	"systemd-nspawn": "systemd-container", "ip": "iproute2", "mkfs.ext4": "e2fsprogs", "resize2fs": "e2fsprogs",
	"mount": "mount", "unshare": "util-linux", "nsenter": "util-linux", "bash": "bash",
}

func hypervisorVersion(ctx context.Context) (string, error) {
	var missing []string
	for program, pkg := range programs {
		if _, err := lookPath(program); err != nil {
			missing = append(missing, fmt.Sprintf("%s (package %s)", program, pkg))
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return "", fmt.Errorf("machine containers need %s", strings.Join(missing, ", "))
	}
	nspawn, err := run(ctx, "systemd-nspawn", "--version")
	if err != nil {
		return "", err
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "", fmt.Errorf("read the version of the kernel: %w", err)
	}
	nspawn, _, _ = strings.Cut(nspawn, "\n")
	return fmt.Sprintf("%s on Linux %s", nspawn, strings.TrimSpace(string(kernel))), nil
}

// Inventory implements hostapi.Driver.
func (d *Driver) Inventory(ctx context.Context) (hostapi.Inventory, error) {
	const op = "Inventory"
	if err := ctx.Err(); err != nil {
		return hostapi.Inventory{}, typed(op, "", "look at the host", err)
	}
	boot, err := os.ReadFile(d.BootIDFile)
	if err != nil {
		return hostapi.Inventory{}, typed(op, "", "read the boot ID", err)
	}
	out := hostapi.Inventory{
		Host: d.Host, HypervisorVersion: d.version, BootID: strings.TrimSpace(string(boot)),
		Processors: d.Processors, MemoryMiB: d.MemoryMiB, Images: []hostapi.Image{},
	}
	for _, v := range d.Volumes {
		volume, err := d.describeVolume(v)
		if err != nil {
			return hostapi.Inventory{}, err
		}
		out.Volumes = append(out.Volumes, volume)
		if volume.Fault != hostapi.VolumeHealthy {
			continue
		}
		images, err := v.staged()
		if err != nil {
			return hostapi.Inventory{}, typed(op, v.Name, "list the images on volume "+v.Name, err)
		}
		out.Images = append(out.Images, images...)
	}
	for _, s := range d.Switches {
		out.Switches = append(out.Switches, s.Name)
	}
	used, vms, err := d.used("")
	if err != nil {
		return hostapi.Inventory{}, typed(op, "", "add up what VMs take", err)
	}
	out.VMs, out.MemoryFreeMiB = vms, max(d.MemoryMiB-used, 0)
	return out, nil
}

// used is the memory that the VMs with power have, and how many they are, all
// but one.
func (d *Driver) used(but hostapi.VMID) (memoryMiB int64, vms int32, err error) {
	ids, err := d.known(d.configPath)
	if err != nil {
		return 0, 0, err
	}
	for _, id := range ids {
		c, err := getJSON[config](d.configPath(id))
		if err != nil {
			return 0, 0, err
		}
		if id == but || c == nil || foreign(c.Stamp) {
			continue
		}
		on, err := d.groups.busy(id)
		if err != nil {
			return 0, 0, err
		}
		if on {
			memoryMiB += c.MemoryMiB
			vms++
		}
	}
	return memoryMiB, vms, nil
}

// known are the IDs that have a record in the folder of such records.
func (d *Driver) known(path func(hostapi.VMID) string) ([]hostapi.VMID, error) {
	files, err := names(filepath.Dir(path("")))
	var ids []hostapi.VMID
	for _, file := range files {
		if id, ok := strings.CutSuffix(file, ".json"); ok && id != "" {
			ids = append(ids, hostapi.VMID(id))
		}
	}
	return ids, err
}

// GetVM implements hostapi.Driver.
func (d *Driver) GetVM(ctx context.Context, id hostapi.VMID) (hostapi.VM, error) {
	return d.get(ctx, "GetVM", id)
}

func (d *Driver) get(ctx context.Context, op string, id hostapi.VMID) (hostapi.VM, error) {
	p, err := d.parts(ctx, op, id)
	if err != nil {
		return hostapi.VM{}, err
	}
	if p.none() {
		return hostapi.VM{}, hostapi.NoVM(op, id)
	}
	return d.describe(ctx, p), nil
}

// ListVMs implements hostapi.Driver.
func (d *Driver) ListVMs(ctx context.Context) ([]hostapi.VM, error) {
	const op = "ListVMs"
	ids, err := d.known(d.claimPath)
	if err != nil {
		return nil, typed(op, "", "list the claims", err)
	}
	more, err := d.known(d.configPath)
	if err != nil {
		return nil, typed(op, "", "list the configurations", err)
	}
	ids = append(ids, more...)
	for _, v := range d.healthy() {
		folders, err := names(v.vms())
		if err != nil {
			return nil, typed(op, v.Name, "list the VMs on volume "+v.Name, err)
		}
		for _, folder := range folders {
			ids = append(ids, hostapi.VMID(folder))
		}
	}
	slices.Sort(ids)
	out := []hostapi.VM{}
	for _, id := range slices.Compact(ids) {
		vm, err := d.get(ctx, op, id)
		if hostapi.Is(err, hostapi.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, vm)
	}
	// With nothing to look at, nothing has noticed that the call was given up.
	return out, typed(op, "", "list the VMs", ctx.Err())
}
