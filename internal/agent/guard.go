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
// bad answer must not take the other VMs' agent down. Every call is logged for
// those who look closely.
type guarded struct {
	driver hostapi.Driver
	clock  Clock
	log    *slog.Logger
}

var _ hostapi.Driver = guarded{}

func guard[T any](ctx context.Context, g guarded, op string, id hostapi.VMID, call func() (T, error)) (result T, err error) {
	log, began := logOf(ctx, g.log, id).With("op", op), g.clock.Now()
	defer func() {
		if p := recover(); p != nil {
			log.Error("driver panics", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			var nothing T
			result, err = nothing, hostapi.Errorf(hostapi.Transient, op, "", "the driver failed in a way that the agent's log tells")
		}
	}()
	result, err = call()
	log = log.With("duration", g.clock.Now().Sub(began))
	if err != nil {
		log.Debug("driver called", "class", string(hostapi.ClassOf(err)), "error", err)
		return result, hostapi.AsError(op, err)
	}
	log.Debug("driver called")
	return result, nil
}

// logOf returns a log whose lines name the VM that they are about, and the
// manager's request, as far as there are such.
func logOf(ctx context.Context, log *slog.Logger, id hostapi.VMID) *slog.Logger {
	if id != "" {
		log = log.With(hostapi.LogVMID, id)
	}
	if requestID := hostapi.RequestID(ctx); requestID != "" {
		log = log.With(hostapi.LogRequestID, requestID)
	}
	return log
}

func (g guarded) Inventory(ctx context.Context) (hostapi.Inventory, error) {
	return guard(ctx, g, "Inventory", "", func() (hostapi.Inventory, error) { return g.driver.Inventory(ctx) })
}

func (g guarded) StageImage(ctx context.Context, req hostapi.StageImageRequest) (hostapi.Image, error) {
	return guard(ctx, g, "StageImage", "", func() (hostapi.Image, error) { return g.driver.StageImage(ctx, req) })
}

func (g guarded) EnsureVM(ctx context.Context, req hostapi.EnsureVMRequest) (hostapi.VM, error) {
	return guard(ctx, g, "EnsureVM", req.Stamp.ID, func() (hostapi.VM, error) { return g.driver.EnsureVM(ctx, req) })
}

func (g guarded) GetVM(ctx context.Context, id hostapi.VMID) (hostapi.VM, error) {
	return guard(ctx, g, "GetVM", id, func() (hostapi.VM, error) { return g.driver.GetVM(ctx, id) })
}

func (g guarded) ListVMs(ctx context.Context) ([]hostapi.VM, error) {
	return guard(ctx, g, "ListVMs", "", func() ([]hostapi.VM, error) { return g.driver.ListVMs(ctx) })
}

func (g guarded) SetPower(ctx context.Context, req hostapi.SetPowerRequest) (hostapi.VM, error) {
	return guard(ctx, g, "SetPower", req.Stamp.ID, func() (hostapi.VM, error) { return g.driver.SetPower(ctx, req) })
}

func (g guarded) DeleteVM(ctx context.Context, req hostapi.DeleteVMRequest) error {
	_, err := guard(ctx, g, "DeleteVM", req.Stamp.ID, func() (struct{}, error) { return struct{}{}, g.driver.DeleteVM(ctx, req) })
	return err
}
