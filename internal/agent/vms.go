package agent

import (
	"context"
	"regexp"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// validID is narrower than what an API server calls a name: IDs become file
// names, on Windows too.
var validID = regexp.MustCompile(`^[0-9a-z][0-9a-z-]{0,62}$`)

func checkID(op string, id hostapi.VMID) error {
	if !validID.MatchString(string(id)) {
		return hostapi.Errorf(hostapi.InvalidArgument, op, "", "VM ID %q is not of the form %s", id, validID)
	}
	return nil
}

func checkStamp(op string, s hostapi.Stamp) error {
	if s.Installation == "" {
		return hostapi.Errorf(hostapi.InvalidArgument, op, "", "the stamp of VM %q names no installation", s.ID)
	}
	return checkID(op, s.ID)
}

func checkPower(op string, p hostapi.Power) error {
	if p != hostapi.PowerOn && p != hostapi.PowerOff {
		return hostapi.Errorf(hostapi.InvalidArgument, op, "", "power %q is neither %s nor %s", p, hostapi.PowerOn, hostapi.PowerOff)
	}
	return nil
}

// EnsureVM implements hostapi.Agent.
func (a *Agent) EnsureVM(ctx context.Context, req hostapi.EnsureVMRequest) (hostapi.VM, error) {
	const op = "EnsureVM"
	if err := a.checkWanted(ctx, op, req.Stamp, req.Power); err != nil {
		return hostapi.VM{}, err
	}
	if req.KeepSeed && req.Seed != nil {
		return hostapi.VM{}, hostapi.Errorf(hostapi.InvalidArgument, op, "", "VM %s: a seed is sent and is to be kept as it is", req.Stamp.ID)
	}
	vm, err := a.change(ctx, req.Stamp, a.ensureRequest(req))
	if vm.Operation != nil && vm.Name == "" {
		vm.Name, vm.Owner = req.Name, req.Owner
	}
	return vm, err
}

// SetPower implements hostapi.Agent.
func (a *Agent) SetPower(ctx context.Context, req hostapi.SetPowerRequest) (hostapi.VM, error) {
	if err := a.checkWanted(ctx, "SetPower", req.Stamp, req.Power); err != nil {
		return hostapi.VM{}, err
	}
	return a.change(ctx, req.Stamp, a.powerRequest(req))
}

// DeleteVM implements hostapi.Agent.
func (a *Agent) DeleteVM(ctx context.Context, req hostapi.DeleteVMRequest) error {
	if err := checkStamp("DeleteVM", req.Stamp); err != nil {
		return err
	}
	_, err := a.change(ctx, req.Stamp, a.deleteRequest(req))
	return err
}

// GetVM implements hostapi.Driver. While the VM is worked on, the answer is what
// was seen when that began: one call at a time touches a VM.
func (a *Agent) GetVM(ctx context.Context, id hostapi.VMID) (hostapi.VM, error) {
	if err := checkID("GetVM", id); err != nil {
		return hostapi.VM{}, err
	}
	s := a.operations.use(vmSubject(id))
	defer a.operations.leave(s)
	release, busy, err := a.operations.acquire(ctx, s)
	if err != nil {
		return hostapi.VM{}, err
	}
	if busy != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return a.unfinished(busy.record.stamp(), busy.seen, busy.show(s.describe(busy))), nil
	}
	defer release()
	vm, err := a.driver.GetVM(ctx, id)
	switch {
	case err == nil:
		vm.Operation = a.operations.underWay(s.name)
	case hostapi.Is(err, hostapi.NotFound):
		a.forget(id)
		a.operations.giveUpHeld(s)
	}
	return vm, err
}

// forget drops what the journal says of a VM that is nowhere. On a failover
// cluster it may have been deleted through another node.
func (a *Agent) forget(id hostapi.VMID) {
	if err := a.journal.removeVM(id); err != nil {
		a.log.Error("a VM that does not exist stays in the journal", hostapi.LogVMID, id, "error", err)
	}
}

// ListVMs implements hostapi.Driver.
func (a *Agent) ListVMs(ctx context.Context) ([]hostapi.VM, error) {
	vms, err := a.driver.ListVMs(ctx)
	if err != nil {
		return nil, err
	}
	for i := range vms {
		vms[i].Operation = a.operations.underWay(vmSubject(vms[i].Stamp.ID))
	}
	return vms, nil
}

// checkWanted refuses what the agent may not make or start, before anything is
// written down.
func (a *Agent) checkWanted(ctx context.Context, op string, stamp hostapi.Stamp, power hostapi.Power) error {
	if err := checkStamp(op, stamp); err != nil {
		return err
	}
	if err := checkPower(op, power); err != nil {
		return err
	}
	if err := a.checkNotBuried(op, stamp.ID, op == string(kindEnsureVM) || power == hostapi.PowerOn); err != nil {
		return err
	}
	return a.checkMayStart(ctx, op, power)
}

func (a *Agent) checkNotBuried(op string, id hostapi.VMID, makesOrStarts bool) error {
	if makesOrStarts && a.journal.isBuried(id) {
		return hostapi.Errorf(hostapi.Conflict, op, "", "VM %s is buried", id)
	}
	return nil
}

// change has work done on a VM and waits for it as long as a call may last.
func (a *Agent) change(ctx context.Context, stamp hostapi.Stamp, r request) (hostapi.VM, error) {
	s := a.operations.use(vmSubject(stamp.ID))
	defer a.operations.leave(s)
	r.id = hostapi.RequestID(ctx)
	o, err := a.operations.submit(s, r)
	if err != nil {
		return hostapi.VM{}, err
	}
	answer := a.operations.wait(ctx, s, o)
	if answer.operation != nil {
		return a.unfinished(stamp, answer.seen, answer.operation), nil
	}
	return answer.vm, fail(answer.err)
}

// unfinished is a VM that is being worked on, as it was seen last.
func (a *Agent) unfinished(stamp hostapi.Stamp, seen *hostapi.VM, o *hostapi.Operation) hostapi.VM {
	host, _ := a.boot.get()
	vm := hostapi.VM{Stamp: stamp, Host: host.name, State: hostapi.StatePartial, Heartbeat: hostapi.HeartbeatUnknown}
	if seen != nil {
		vm = *seen
	}
	vm.Operation = o
	return vm
}
