package agent

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// guarded is a driver whose panics are errors and whose errors all have a
// class. A driver speaks to a hypervisor through other people's code, and one
// bad answer must not take the other VMs' agent down.
type guarded struct {
	driver hostapi.Driver
	log    *slog.Logger
}

var _ hostapi.Driver = guarded{}

func guard[T any](g guarded, op string, id hostapi.VMID, call func() (T, error)) (result T, err error) {
	defer func() {
		if p := recover(); p != nil {
			g.log.Error("driver panics", "op", op, "vm", string(id), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			var nothing T
			result, err = nothing, hostapi.Errorf(hostapi.Transient, op, "", "the driver failed in a way that the agent's log tells")
		}
	}()
	if result, err = call(); err != nil {
		return result, hostapi.AsError(op, err)
	}
	return result, nil
}

func (g guarded) Inventory(ctx context.Context) (hostapi.Inventory, error) {
	return guard(g, "Inventory", "", func() (hostapi.Inventory, error) { return g.driver.Inventory(ctx) })
}

func (g guarded) StageImage(ctx context.Context, req hostapi.StageImageRequest) (hostapi.Image, error) {
	return guard(g, "StageImage", "", func() (hostapi.Image, error) { return g.driver.StageImage(ctx, req) })
}

func (g guarded) EnsureVM(ctx context.Context, req hostapi.EnsureVMRequest) (hostapi.VM, error) {
	return guard(g, "EnsureVM", req.Stamp.ID, func() (hostapi.VM, error) { return g.driver.EnsureVM(ctx, req) })
}

func (g guarded) GetVM(ctx context.Context, id hostapi.VMID) (hostapi.VM, error) {
	return guard(g, "GetVM", id, func() (hostapi.VM, error) { return g.driver.GetVM(ctx, id) })
}

func (g guarded) ListVMs(ctx context.Context) ([]hostapi.VM, error) {
	return guard(g, "ListVMs", "", func() ([]hostapi.VM, error) { return g.driver.ListVMs(ctx) })
}

func (g guarded) SetPower(ctx context.Context, req hostapi.SetPowerRequest) (hostapi.VM, error) {
	return guard(g, "SetPower", req.Stamp.ID, func() (hostapi.VM, error) { return g.driver.SetPower(ctx, req) })
}

func (g guarded) DeleteVM(ctx context.Context, req hostapi.DeleteVMRequest) error {
	_, err := guard(g, "DeleteVM", req.Stamp.ID, func() (struct{}, error) { return struct{}{}, g.driver.DeleteVM(ctx, req) })
	return err
}
