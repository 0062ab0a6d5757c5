package agent

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// resumed returns what carries on an operation from the journal, or nil where
// the manager has to send the seed again.
func (a *Agent) resumed(r operationRecord) func(context.Context, *operation) outcome {
	switch {
	case r.StageImage != nil:
		return a.stageRequest(*r.StageImage).run
	case r.SetPower != nil:
		return a.powerRequest(*r.SetPower).run
	case r.DeleteVM != nil:
		return a.deleteRequest(*r.DeleteVM).run
	case r.SeedSHA256 == "":
		return a.ensureRequest(*r.EnsureVM).run
	default:
		return nil
	}
}

// owned looks at a VM before it is changed. It returns nil where there is none,
// and an error where it is not ours or cannot be seen.
func (a *Agent) owned(ctx context.Context, k kind, stamp hostapi.Stamp) (*hostapi.VM, error) {
	vm, err := a.driver.GetVM(ctx, stamp.ID)
	switch {
	case hostapi.Is(err, hostapi.NotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case vm.Stamp != stamp:
		return nil, hostapi.Errorf(hostapi.NotOwned, string(k), "", "VM %s is of installation %q, not of %q", stamp.ID, vm.Stamp.Installation, stamp.Installation)
	default:
		return &vm, nil
	}
}

// notice keeps a VM as it was before the driver works on it.
func (e *operations) notice(o *operation, name string, vm *hostapi.VM) {
	s := e.use(name)
	defer e.leave(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	o.seen = vm
}

func (a *Agent) ensureRequest(req hostapi.EnsureVMRequest) request {
	k, id := kindEnsureVM, req.Stamp.ID
	return request{record: ensureVMRecord(req), run: func(ctx context.Context, o *operation) outcome {
		seen, err := a.owned(ctx, k, req.Stamp)
		if err != nil {
			return failed(k, err)
		}
		a.operations.notice(o, vmSubject(id), seen)
		// The tombstones may have come while this waited.
		if err := a.checkNotBuried(string(k), id, true); err != nil {
			return failed(k, err)
		}
		if err := a.journal.putVM(vmRecord{Stamp: req.Stamp, Name: req.Name, Power: req.Power}); err != nil {
			return failed(k, err)
		}
		vm, err := a.driver.EnsureVM(ctx, req)
		if err != nil {
			return failed(k, err)
		}
		return outcome{vm: vm}
	}}
}

func (a *Agent) powerRequest(req hostapi.SetPowerRequest) request {
	k, id := kindSetPower, req.Stamp.ID
	return request{record: setPowerRecord(req), run: func(ctx context.Context, o *operation) outcome {
		seen, err := a.owned(ctx, k, req.Stamp)
		if err == nil && seen == nil {
			err = hostapi.Errorf(hostapi.NotFound, string(k), "", "VM %s does not exist", id)
		}
		if err != nil {
			return failed(k, err)
		}
		a.operations.notice(o, vmSubject(id), seen)
		if err := a.checkNotBuried(string(k), id, req.Power == hostapi.PowerOn); err != nil {
			return failed(k, err)
		}
		if err := a.journal.putVM(vmRecord{Stamp: req.Stamp, Name: seen.Name, Power: req.Power}); err != nil {
			return failed(k, err)
		}
		vm, err := a.driver.SetPower(ctx, req)
		if err != nil {
			return failed(k, err)
		}
		return outcome{vm: vm}
	}}
}

func (a *Agent) deleteRequest(req hostapi.DeleteVMRequest) request {
	k, id := kindDeleteVM, req.Stamp.ID
	return request{record: deleteVMRecord(req), run: func(ctx context.Context, o *operation) outcome {
		seen, err := a.owned(ctx, k, req.Stamp)
		if err != nil {
			return failed(k, err)
		}
		a.operations.notice(o, vmSubject(id), seen)
		// From here on a boot of the host does not start it again.
		if err := a.journal.removeVM(id); err != nil {
			return failed(k, err)
		}
		// The driver has the last word on whether there is nothing left.
		if err := a.driver.DeleteVM(ctx, req); err != nil {
			return failed(k, err)
		}
		return outcome{}
	}}
}
