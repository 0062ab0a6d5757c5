package simulated

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Name is what agents say that their driver is.
const Name = "simulated"

// shutDownTime is what a guest gets to stop when an EnsureVM wants its VM off.
const shutDownTime = 2 * time.Minute

// Driver is a hostapi.Driver of a host in the fabric.
type Driver struct {
	host *fabricapi.HostClient
}

var _ hostapi.Driver = (*Driver)(nil)

// New returns the driver of the host that the client reaches.
func New(host *fabricapi.HostClient) *Driver { return &Driver{host: host} }

// Dial returns the driver of the host behind a socket.
func Dial(socket string) *Driver {
	return New(fabricapi.NewHostClient(fabricapi.UnixTransport(socket)))
}

// Inventory implements hostapi.Driver.
func (d *Driver) Inventory(ctx context.Context) (hostapi.Inventory, error) {
	const op = "Inventory"
	host, err := d.host.Host(ctx)
	if err != nil {
		return hostapi.Inventory{}, typed(op, "describe the host", err)
	}
	out := hostapi.Inventory{
		Host: host.Name, HypervisorVersion: host.Version, BootID: host.BootID, Processors: host.Processors,
		MemoryMiB: host.MemoryMiB, MemoryFreeMiB: host.MemoryFreeMiB, FailoverCluster: host.FailoverCluster,
		Switches: host.Switches,
	}
	for _, v := range host.Volumes {
		out.Volumes = append(out.Volumes, hostapi.Volume{
			Name: v.Name, Bytes: v.Bytes, FreeBytes: v.FreeBytes, ProvisionedBytes: v.ProvisionedBytes,
			Fault: hostapi.VolumeFault(v.Fault),
		})
	}
	files, err := d.host.ListFiles(ctx, fabricapi.ListFilesRequest{Folder: imageFolder})
	if err != nil {
		return hostapi.Inventory{}, typed(op, "list the images", err)
	}
	for _, f := range files {
		if f.ReadOnly && f.Image != nil {
			out.Images = append(out.Images, imageOf(f))
		}
	}
	vms, err := d.host.ListVMs(ctx, "")
	if err != nil {
		return hostapi.Inventory{}, typed(op, "list the VMs", err)
	}
	for _, v := range vms {
		if v.Stamp != nil && v.Host == host.Name && v.State != fabricapi.Off {
			out.VMs++
		}
	}
	return out, nil
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
	if err := p.checkNode(op); err != nil {
		return hostapi.VM{}, err
	}
	return p.describe(), nil
}

// ListVMs implements hostapi.Driver.
func (d *Driver) ListVMs(ctx context.Context) ([]hostapi.VM, error) {
	all, err := d.allParts(ctx, "ListVMs")
	if err != nil {
		return nil, err
	}
	out := make([]hostapi.VM, 0, len(all))
	for _, p := range all {
		out = append(out, p.describe())
	}
	slices.SortFunc(out, func(a, b hostapi.VM) int {
		return strings.Compare(string(a.Stamp.ID)+a.Stamp.Installation, string(b.Stamp.ID)+b.Stamp.Installation)
	})
	return out, nil
}
