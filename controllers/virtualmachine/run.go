package virtualmachine

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/metrics"
)

// start has the VM on and its guest answering.
func (r *Reconciler) start(ctx context.Context, s *scope) (*wait, error) {
	switch s.seen.State {
	case hostapi.StateOff:
		return r.powerOn(ctx, s)
	case hostapi.StateStarting, hostapi.StateStopping, hostapi.StatePartial:
		return &wait{
			reason: capstanv1.ReasonStarting, requeue: pollWork,
			message: fmt.Sprintf("the VM is %s on host %s", s.seen.State, s.at.Name),
		}, nil
	case hostapi.StateFailed:
		return &wait{
			reason: capstanv1.ReasonVMFailed, requeue: pollSlow,
			message: fmt.Sprintf("host %s reports that the VM has failed, as one does that has lost its storage", s.at.Name),
		}, nil
	case hostapi.StateRunning:
	}
	if answers(s.seen, s.vm.Status.Addresses, s.addressTexts()) {
		return nil, nil
	}
	return &wait{
		reason: capstanv1.ReasonWaitingForGuest, requeue: r.guestPoll(s.vm),
		message: fmt.Sprintf("waiting for the guest to report its address (heartbeat %s)", s.seen.Heartbeat),
	}, nil
}

// powerOn starts a VM that its host says is off. That it was found off though it ran is
// recorded before: once it runs again nobody could tell.
func (r *Reconciler) powerOn(ctx context.Context, s *scope) (*wait, error) {
	w := &wait{reason: capstanv1.ReasonStarting, requeue: pollWork, message: fmt.Sprintf("the VM is being started on host %s", s.at.Name)}
	if s.was == capstanv1.VMRunning || reasonOfRunning(s.vm) == capstanv1.ReasonPoweredOff {
		w.reason = capstanv1.ReasonPoweredOff
		w.message = fmt.Sprintf("the VM was found off on host %s and is started again", s.at.Name)
	}
	if s.was == capstanv1.VMRunning {
		metrics.Healed(w.reason)
		w.requeue = pollCache
		return w, nil
	}
	if !retired(s.vm) {
		return r.powerOnWithSeed(ctx, s, w)
	}
	vm, err := s.agent.SetPower(ctx, hostapi.SetPowerRequest{Stamp: r.stamp(s), Power: hostapi.PowerOn})
	if err != nil {
		return nil, err
	}
	ctrllog.FromContext(ctx).Info("VM started", "host", s.at.Name)
	s.seen = &vm
	return w, nil
}

// powerOnWithSeed starts a VM whose guest may not have read its seed yet. That it
// is off may mean that its agent was stopped before the seed was in the drive, and
// a guest that boots without one never becomes what it shall be.
func (r *Reconciler) powerOnWithSeed(ctx context.Context, s *scope, w *wait) (*wait, error) {
	req, waiting, err := r.seededRequest(ctx, s)
	if waiting != nil || err != nil {
		return waiting, err
	}
	if _, err := r.ensure(ctx, s, req, hashOf(req.Seed)); err != nil {
		return nil, err
	}
	return w, nil
}

func reasonOfRunning(vm *capstanv1.VirtualMachine) string {
	if c := conditions.Get(vm, capstanv1.RunningCondition); c != nil {
		return c.Reason
	}
	return ""
}

// answers tells whether the guest is alive and has the address it was given.
func answers(vm *hostapi.VM, recorded, given []string) bool {
	if vm.Heartbeat != hostapi.HeartbeatOK {
		return false
	}
	if len(given) == 0 {
		given = recorded
	}
	for i, address := range given {
		if i >= len(vm.NICs) || !slices.Contains(vm.NICs[i].Addresses, address) {
			return false
		}
	}
	return true
}

func (s *scope) addressTexts() []string {
	var out []string
	for _, a := range s.addresses {
		out = append(out, a.Spec.Address)
	}
	return out
}

// guestPoll is short while a guest may come up at any moment, and grows with how long
// it has taken: whoever waits for a minute can wait for some seconds more.
func (r *Reconciler) guestPoll(vm *capstanv1.VirtualMachine) time.Duration {
	c := conditions.Get(vm, capstanv1.RunningCondition)
	if c == nil || c.Status == metav1.ConditionTrue {
		return pollGuest
	}
	return min(max(r.Clock.Since(c.LastTransitionTime.Time)/pollsPerWait, pollGuest), pollSlow)
}

// retireSeed takes the seed away once the guest needs it no more.
func (r *Reconciler) retireSeed(ctx context.Context, s *scope) (*wait, error) {
	s.again = pollRunning
	switch {
	case !s.vm.Spec.RetireSeed:
		s.again = r.joinPoll(s.vm)
		return nil, nil
	case !s.seen.SeedAttached:
		return nil, nil
	case s.seen.Operation != nil:
		s.retiring, s.again = s.seen.Operation.What, pollWork
		return nil, nil
	case s.image == nil:
		// The request for a VM names its image.
		s.retiring = waitForImage(s).message
		return nil, nil
	}
	vm, err := s.agent.EnsureVM(ctx, r.ensureRequest(s))
	if err != nil {
		// The VM is well; only its seed is still there.
		s.again = pollSlow
		if w := waitOf(capstanv1.VMRunning, err); w != nil {
			s.retiring = fmt.Sprintf("%s: %s", w.reason, w.message)
			s.again = w.requeue
			return nil, nil
		}
		return nil, err
	}
	if vm.Operation != nil {
		s.retiring, s.again = vm.Operation.What, pollWork
		return nil, nil
	}
	s.seen = &vm
	return nil, nil
}
