package agent

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"

	"github.com/capstan-k8s/capstan/internal/console"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// discreet is a driver that tells of its guests' consoles only what explains
// something, without secrets: neither these nor whole consoles leave the host.
type discreet struct {
	hostapi.Driver
	consoles *consoles
}

func newDiscreet(d hostapi.Driver) discreet {
	return discreet{Driver: d, consoles: &consoles{read: console.Read, last: map[hostapi.VMID]reading{}}}
}

// consoles remembers what was read of each VM's console. VMs are asked for far more
// often than their guests write, and reading costs milliseconds.
type consoles struct {
	read func([]string) (hostapi.GuestInit, []string)

	mu   sync.Mutex
	last map[hostapi.VMID]reading
}

// reading is what a console was made of that had this sum.
type reading struct {
	sum   [sha256.Size]byte
	init  hostapi.GuestInit
	lines []string
}

func (c *consoles) of(id hostapi.VMID, raw []string) (hostapi.GuestInit, []string) {
	if len(raw) == 0 {
		c.forget(id)
		return hostapi.GuestInit{}, nil
	}
	sum := sumOf(raw)
	c.mu.Lock()
	last, known := c.last[id]
	c.mu.Unlock()
	if !known || last.sum != sum {
		last = reading{sum: sum}
		last.init, last.lines = c.read(raw)
		c.mu.Lock()
		c.last[id] = last
		c.mu.Unlock()
	}
	return last.init, slices.Clone(last.lines)
}

func sumOf(raw []string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, line := range raw {
		h.Write([]byte(line))
		h.Write([]byte{'\n'})
	}
	h.Sum(sum[:0])
	return sum
}

func (c *consoles) forget(id hostapi.VMID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, id)
}

// keep forgets all VMs but those that there are.
func (c *consoles) keep(vms []hostapi.VM) {
	there := make(map[hostapi.VMID]bool, len(vms))
	for i := range vms {
		there[vms[i].Stamp.ID] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.last {
		if !there[id] {
			delete(c.last, id)
		}
	}
}

func (d discreet) tell(id hostapi.VMID, vm hostapi.VM, err error) (hostapi.VM, error) {
	if hostapi.ClassOf(err) == hostapi.NotFound {
		d.consoles.forget(id)
		return vm, err
	}
	init, lines := d.consoles.of(id, vm.Console)
	if vm.Init.State == hostapi.InitUnknown {
		vm.Init = init
	}
	vm.Console = lines
	return vm, err
}

func (d discreet) EnsureVM(ctx context.Context, req hostapi.EnsureVMRequest) (hostapi.VM, error) {
	vm, err := d.Driver.EnsureVM(ctx, req)
	return d.tell(req.Stamp.ID, vm, err)
}

func (d discreet) GetVM(ctx context.Context, id hostapi.VMID) (hostapi.VM, error) {
	vm, err := d.Driver.GetVM(ctx, id)
	return d.tell(id, vm, err)
}

func (d discreet) SetPower(ctx context.Context, req hostapi.SetPowerRequest) (hostapi.VM, error) {
	vm, err := d.Driver.SetPower(ctx, req)
	return d.tell(req.Stamp.ID, vm, err)
}

// ListVMs tells nothing of consoles: whoever wants all VMs asks what there is.
func (d discreet) ListVMs(ctx context.Context) ([]hostapi.VM, error) {
	vms, err := d.Driver.ListVMs(ctx)
	if err == nil {
		d.consoles.keep(vms)
	}
	for i := range vms {
		vms[i].Console, vms[i].Init = nil, hostapi.GuestInit{}
	}
	return vms, err
}
