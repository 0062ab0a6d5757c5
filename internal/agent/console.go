package agent

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/console"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// discreet is a driver that tells of its guests' consoles only what explains
// something, without secrets: neither these nor whole consoles leave the host.
type discreet struct{ hostapi.Driver }

func readConsole(vm hostapi.VM, err error) (hostapi.VM, error) {
	init, lines := console.Read(vm.Console)
	if vm.Init.State == hostapi.InitUnknown {
		vm.Init = init
	}
	vm.Console = lines
	return vm, err
}

func (d discreet) EnsureVM(ctx context.Context, req hostapi.EnsureVMRequest) (hostapi.VM, error) {
	return readConsole(d.Driver.EnsureVM(ctx, req))
}

func (d discreet) GetVM(ctx context.Context, id hostapi.VMID) (hostapi.VM, error) {
	return readConsole(d.Driver.GetVM(ctx, id))
}

func (d discreet) SetPower(ctx context.Context, req hostapi.SetPowerRequest) (hostapi.VM, error) {
	return readConsole(d.Driver.SetPower(ctx, req))
}

// ListVMs tells nothing of consoles: whoever wants all VMs asks what there is.
func (d discreet) ListVMs(ctx context.Context) ([]hostapi.VM, error) {
	vms, err := d.Driver.ListVMs(ctx)
	for i := range vms {
		vms[i].Console, vms[i].Init = nil, hostapi.GuestInit{}
	}
	return vms, err
}
