package hyperv

import (
	"context"
	"fmt"
	"time"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// shutDownTime is what a guest gets to stop when an EnsureVM wants its VM off.
const shutDownTime = 2 * time.Minute

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
	m := p.machine()
	// Without its role a VM of a failover cluster would not be restarted.
	if m == nil || (req.Power == hostapi.PowerOn && m.off() && (!m.whole() || (d.cluster && p.role == nil))) {
		return hostapi.VM{}, hostapi.Errorf(hostapi.Conflict, op, "", "VM %s is not whole", req.Stamp.ID)
	}
	switch {
	case req.Power == hostapi.PowerOn:
		err = m.start(ctx, op)
	case req.Force:
		err = m.turnOff(ctx, op)
	default:
		err = m.shutDown(ctx, op, req.Timeout)
	}
	if err != nil {
		return hostapi.VM{}, err
	}
	return d.get(ctx, op, req.Stamp.ID)
}

func (e *ensuring) powerOff(ctx context.Context) error {
	if e.m == nil || e.req.Power != hostapi.PowerOff || e.m.off() {
		return nil
	}
	return e.m.shutDown(ctx, opEnsure, shutDownTime)
}

func (e *ensuring) powerOn(ctx context.Context) error {
	if e.req.Power != hostapi.PowerOn {
		return nil
	}
	return e.m.start(ctx, opEnsure)
}

// takeRole makes the VM a role of the failover cluster, which from then on restarts it elsewhere.
func (e *ensuring) takeRole(ctx context.Context) error {
	if !e.cluster || e.role != nil {
		return nil
	}
	cluster, err := e.owner.only(ctx, wmi.Cluster, "MSCluster_Cluster")
	if err != nil {
		return e.typed("", "add the clustered role", err)
	}
	// By its name, which is one of a kind: nothing says that the GUID is taken, too.
	_, err = e.owner.Call(ctx, cluster.Path, "AddVirtualMachine", wmi.Values{"VirtualMachine": e.m.settings.String("ElementName")})
	return e.typed("", "add the clustered role", err)
}

func (m *machine) requestState(ctx context.Context, state int) error {
	_, err := m.node.Run(ctx, m.system, "RequestStateChange", wmi.Values{"RequestedState": state})
	return err
}

func (m *machine) start(ctx context.Context, op string) error {
	switch {
	case m.off(), m.saved():
		return typed(op, "", "start VM "+string(m.notes.Stamp.ID), m.requestState(ctx, stateEnabled))
	case m.stopping():
		return hostapi.Errorf(hostapi.Transient, op, "", "VM %s is shutting down: it can be started once it is off", m.notes.Stamp.ID)
	default:
		// It has power. A VM that lost its storage goes on by itself.
		return nil
	}
}

func (m *machine) turnOff(ctx context.Context, op string) error {
	if m.off() {
		return nil
	}
	return typed(op, "", "turn off VM "+string(m.notes.Stamp.ID), m.requestState(ctx, stateDisabled))
}

// shutDown asks the guest to stop and waits for it.
func (m *machine) shutDown(ctx context.Context, op string, timeout time.Duration) error {
	if m.off() {
		return nil
	}
	doing := "shut down VM " + string(m.notes.Stamp.ID)
	if !m.stopping() {
		guest, ok, err := m.component(ctx, "Msvm_ShutdownComponent")
		if err != nil {
			return typed(op, "", doing, err)
		}
		if !ok {
			return hostapi.Errorf(hostapi.Transient, op, "", "the guest of VM %s does not listen yet", m.notes.Stamp.ID)
		}
		result, err := m.node.Call(ctx, guest.Path, "InitiateShutdown", wmi.Values{"Force": true, "Reason": "Capstan"})
		if err != nil {
			return typed(op, "", doing, err)
		}
		if code := result.Number(wmi.ReturnValue); code != wmi.Completed {
			// Whatever the reason is, forcing is the caller's decision.
			return hostapi.Errorf(hostapi.Transient, op, "", "the guest of VM %s was asked to shut down and answered %d", m.notes.Stamp.ID, code)
		}
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		now, err := m.node.Get(waiting, m.system.Path, "EnabledState", "HealthState")
		if err != nil {
			return typed(op, "", fmt.Sprintf("wait for VM %s to shut down", m.notes.Stamp.ID), err)
		}
		m.system.Values = now.Values
		if m.off() {
			return nil
		}
		if err := m.node.Wait(waiting); err != nil {
			return typed(op, "", fmt.Sprintf("wait for VM %s to shut down", m.notes.Stamp.ID), err)
		}
	}
}
