package agenttest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Driver is a driver whose host is a map. It keeps to the contract of
// hostapi.Driver, records its calls, and fails, hangs or panics when told to. It
// is safe for concurrent use.
type Driver struct {
	mu        sync.Mutex
	inventory hostapi.Inventory
	boots     int
	vms       map[hostapi.VMID]hostapi.VM
	images    map[string]hostapi.Image
	calls     []Call
	faults    map[string][]func() error
	gates     map[string]*Gate
	inside    map[hostapi.VMID]int
	overlaps  []string
}

var _ hostapi.Driver = (*Driver)(nil)

// Call is a call that a Driver got.
type Call struct {
	Op string
	ID hostapi.VMID
	// Seed is what EnsureVM was given.
	Seed []byte
}

// NewDriver returns the driver of an empty stand-alone host.
func NewDriver(host string) *Driver {
	d := &Driver{
		inventory: hostapi.Inventory{
			Host: host, HypervisorVersion: "agenttest", Processors: 16, MemoryMiB: 65536, MemoryFreeMiB: 65536,
			Volumes:  []hostapi.Volume{{Name: "csv1", Bytes: 1 << 40, FreeBytes: 1 << 40}},
			Switches: []string{"vswitch"},
		},
		vms: map[hostapi.VMID]hostapi.VM{}, images: map[string]hostapi.Image{},
		faults: map[string][]func() error{}, gates: map[string]*Gate{}, inside: map[hostapi.VMID]int{},
	}
	d.Boot()
	return d
}

// Boot restarts the host: every VM is off afterwards.
func (d *Driver) Boot() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.boots++
	d.inventory.BootID = fmt.Sprintf("boot-%d", d.boots)
	for id, vm := range d.vms {
		vm.State = hostapi.StateOff
		d.vms[id] = vm
	}
}

// Join makes the host a member of a failover cluster.
func (d *Driver) Join(cluster string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inventory.FailoverCluster = cluster
}

// Put places a VM on the host behind everybody's back.
func (d *Driver) Put(vm hostapi.VM) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.vms[vm.Stamp.ID] = vm
}

// VM returns a VM as it is, without a call.
func (d *Driver) VM(id hostapi.VMID) (hostapi.VM, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	vm, ok := d.vms[id]
	return vm, ok
}

// Calls returns the calls that came in so far. Reading calls are not among them.
func (d *Driver) Calls() []Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

// Overlaps tells of calls about one VM that came while another was under way.
func (d *Driver) Overlaps() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.overlaps)
}

// Inventory implements hostapi.Driver.
func (d *Driver) Inventory(ctx context.Context) (hostapi.Inventory, error) {
	if err := d.pass(ctx, "Inventory"); err != nil {
		return hostapi.Inventory{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	inventory := d.inventory
	inventory.VMs = int32(len(d.vms))
	for _, image := range d.images {
		inventory.Images = append(inventory.Images, image)
	}
	return inventory, nil
}

// StageImage implements hostapi.Driver.
func (d *Driver) StageImage(ctx context.Context, req hostapi.StageImageRequest) (hostapi.Image, error) {
	d.record(Call{Op: "StageImage"})
	if req.Progress != nil {
		req.Progress(1, 4)
	}
	if err := d.pass(ctx, "StageImage"); err != nil {
		return hostapi.Image{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	image := hostapi.Image{ImageRef: req.Image, Volume: req.Volume, Bytes: 1 << 30}
	d.images[req.Image.SHA256+"@"+req.Volume] = image
	return image, nil
}

// EnsureVM implements hostapi.Driver.
func (d *Driver) EnsureVM(ctx context.Context, req hostapi.EnsureVMRequest) (hostapi.VM, error) {
	defer d.enter("EnsureVM", req.Stamp.ID)()
	d.record(Call{Op: "EnsureVM", ID: req.Stamp.ID, Seed: req.Seed})
	if err := d.pass(ctx, "EnsureVM"); err != nil {
		return hostapi.VM{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	vm, ok := d.vms[req.Stamp.ID]
	if ok && vm.Stamp != req.Stamp {
		return hostapi.VM{}, hostapi.Errorf(hostapi.NotOwned, "EnsureVM", "", "VM %s is not ours", req.Stamp.ID)
	}
	vm = hostapi.VM{
		Stamp: req.Stamp, Name: req.Name, Owner: req.Owner, Host: d.inventory.Host, State: stateOf(req.Power),
		Processors: req.Processors, MemoryMiB: req.MemoryMiB, Heartbeat: hostapi.HeartbeatUnknown,
		SeedAttached: req.Seed != nil || req.KeepSeed && vm.SeedAttached,
	}
	d.vms[req.Stamp.ID] = vm
	return vm, nil
}

// GetVM implements hostapi.Driver.
func (d *Driver) GetVM(ctx context.Context, id hostapi.VMID) (hostapi.VM, error) {
	defer d.enter("GetVM", id)()
	if err := d.pass(ctx, "GetVM"); err != nil {
		return hostapi.VM{}, err
	}
	return d.find("GetVM", id)
}

// ListVMs implements hostapi.Driver.
func (d *Driver) ListVMs(ctx context.Context) ([]hostapi.VM, error) {
	if err := d.pass(ctx, "ListVMs"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var vms []hostapi.VM
	for _, vm := range d.vms {
		vms = append(vms, vm)
	}
	return vms, nil
}

// SetPower implements hostapi.Driver.
func (d *Driver) SetPower(ctx context.Context, req hostapi.SetPowerRequest) (hostapi.VM, error) {
	defer d.enter("SetPower", req.Stamp.ID)()
	d.record(Call{Op: "SetPower", ID: req.Stamp.ID})
	if err := d.pass(ctx, "SetPower"); err != nil {
		return hostapi.VM{}, err
	}
	vm, err := d.find("SetPower", req.Stamp.ID)
	if err != nil {
		return hostapi.VM{}, err
	}
	vm.State = stateOf(req.Power)
	d.Put(vm)
	return vm, nil
}

// DeleteVM implements hostapi.Driver.
func (d *Driver) DeleteVM(ctx context.Context, req hostapi.DeleteVMRequest) error {
	defer d.enter("DeleteVM", req.Stamp.ID)()
	d.record(Call{Op: "DeleteVM", ID: req.Stamp.ID})
	if err := d.pass(ctx, "DeleteVM"); err != nil {
		return err
	}
	if _, err := d.find("DeleteVM", req.Stamp.ID); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.vms, req.Stamp.ID)
	return nil
}

func (d *Driver) find(op string, id hostapi.VMID) (hostapi.VM, error) {
	vm, ok := d.VM(id)
	if !ok {
		return hostapi.VM{}, hostapi.Errorf(hostapi.NotFound, op, "", "VM %s does not exist", id)
	}
	return vm, nil
}

func (d *Driver) record(c Call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, c)
}

// enter notices when two calls about one VM are under way at once.
func (d *Driver) enter(op string, id hostapi.VMID) (leave func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside[id] > 0 {
		d.overlaps = append(d.overlaps, fmt.Sprintf("%s of %s", op, id))
	}
	d.inside[id]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.inside[id]--
	}
}

func stateOf(p hostapi.Power) hostapi.State {
	if p == hostapi.PowerOn {
		return hostapi.StateRunning
	}
	return hostapi.StateOff
}
