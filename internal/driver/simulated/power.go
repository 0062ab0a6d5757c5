package simulated

import (
	"context"
	"fmt"
	"time"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// SetPower implements hostapi.Driver.
func (d *Driver) SetPower(ctx context.Context, req hostapi.SetPowerRequest) (hostapi.VM, error) {
	const op = "SetPower"
	if err := req.Validate(); err != nil {
		return hostapi.VM{}, err
	}
	p, err := d.parts(ctx, op, req.Stamp.ID)
	if err != nil {
		return hostapi.VM{}, err
	}
	if p.none() {
		return hostapi.VM{}, hostapi.NoVM(op, req.Stamp.ID)
	}
	if err := p.checkOwned(op, req.Stamp); err != nil {
		return hostapi.VM{}, err
	}
	if err := p.checkNode(op); err != nil {
		return hostapi.VM{}, err
	}
	v := p.vm()
	if v == nil || (req.Power == hostapi.PowerOn && v.State == fabricapi.Off && !whole(*v)) {
		return hostapi.VM{}, hostapi.Errorf(hostapi.Conflict, op, "", "VM %s is not whole", req.Stamp.ID)
	}
	switch {
	case req.Power == hostapi.PowerOn:
		err = d.powerOn(ctx, op, *v)
	case req.Force:
		err = d.turnOff(ctx, op, *v)
	default:
		err = d.shutDown(ctx, op, *v, req.Timeout)
	}
	if err != nil {
		return hostapi.VM{}, err
	}
	return d.get(ctx, op, req.Stamp.ID)
}

func (e *ensuring) powerOff(ctx context.Context) error {
	v := e.vm()
	if v == nil || e.req.Power != hostapi.PowerOff || v.State == fabricapi.Off {
		return nil
	}
	if err := e.shutDown(ctx, "EnsureVM", *v, shutDownTime); err != nil {
		return err
	}
	v.State = fabricapi.Off
	return nil
}

func (e *ensuring) powerOn(ctx context.Context) error {
	if e.req.Power != hostapi.PowerOn {
		return nil
	}
	return e.Driver.powerOn(ctx, "EnsureVM", e.now)
}

func (d *Driver) powerOn(ctx context.Context, op string, v fabricapi.VM) error {
	switch v.State {
	case fabricapi.Off:
		_, err := d.host.StartVM(ctx, v.GUID)
		return typed(op, "start VM "+v.GUID, err)
	case fabricapi.Stopping:
		return hostapi.Errorf(hostapi.Transient, op, "", "VM %s is shutting down: it can be started once it is off", v.GUID)
	default:
		// It has power. A VM that lost its storage goes on by itself.
		return nil
	}
}

func (d *Driver) turnOff(ctx context.Context, op string, v fabricapi.VM) error {
	if v.State == fabricapi.Off {
		return nil
	}
	_, err := d.host.TurnOffVM(ctx, v.GUID)
	return typed(op, "turn off VM "+v.GUID, err)
}

// shutDown asks the guest to stop and waits for it.
func (d *Driver) shutDown(ctx context.Context, op string, v fabricapi.VM, timeout time.Duration) error {
	if v.State == fabricapi.Off {
		return nil
	}
	if v.State != fabricapi.Stopping {
		if _, err := d.host.ShutDownVM(ctx, v.GUID); err != nil {
			return typed(op, "shut down VM "+v.GUID, err)
		}
	}
	_, err := d.host.WaitVM(ctx, fabricapi.WaitVMRequest{GUID: v.GUID, State: fabricapi.Off, Timeout: timeout})
	return typed(op, fmt.Sprintf("wait for VM %s to shut down", v.GUID), err)
}
