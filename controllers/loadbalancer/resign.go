package loadbalancer

import (
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// longestResignation is how long a VM may take to hand the VIP over before it goes all
// the same. Its neighbours miss it then, as they would miss one that has died.
const longestResignation = 15 * time.Second

// longestVacancy is how long nobody may hold the VIP after it was handed over. The next
// one has it some 50 ms later, or after the better part of four seconds if it missed that;
// whoever has not by then will not: its keepalived may be at fault and say nothing.
const longestVacancy = 6 * time.Second

// How long a VM keeps the VIP that nobody took from it before it hands it over again.
const (
	firstKept = time.Minute
	lastKept  = 16 * time.Minute
)

// isResigning tells that a VM is to hand the VIP over, so that it can go.
func isResigning(vm *capstanv1.VirtualMachine) bool {
	return vm.DeletionTimestamp.IsZero() && vm.Annotations[capstanv1.ReplacedAnnotation] != ""
}

// hadTimeToResign tells whether a VM that resigns need not be waited for any longer.
func (r *Reconciler) hadTimeToResign(s *scope, agent *agent) bool {
	now := r.Clock.Now()
	left := agent.resignsSince(now).Add(longestResignation).Sub(now)
	if left > 0 {
		s.tryAgainIn(left)
	}
	return left <= 0
}

// handover is how a VM fares that is to hand the VIP over.
type handover struct {
	// began is since when it is to, and vacant since when nobody holds the VIP.
	began, vacant since
	// kept is until when it has the VIP back, and refusals how often nobody took it.
	kept     time.Time
	refusals int
}

// keepsVIP notes whether nobody holds the VIP, and returns until when the VM that was to
// hand it over has it back, or zero.
func (h *handover) keepsVIP(vacant bool, now time.Time) time.Time {
	if now.Before(h.kept) {
		return h.kept
	}
	h.kept = time.Time{}
	if began := h.vacant.goesOn(vacant, now); began.IsZero() || now.Sub(began) < longestVacancy {
		return h.kept
	}
	h.kept = now.Add(min(firstKept<<min(h.refusals, 10), lastKept))
	h.refusals++
	h.began, h.vacant = since{}, since{}
	return h.kept
}

// followHandovers works out which VMs are through with handing the VIP over, and which
// have it back because nobody took it.
func (r *Reconciler) followHandovers(s *scope, all []candidate) {
	key := client.ObjectKeyFromObject(s.lb)
	held := slices.ContainsFunc(all, func(c candidate) bool { return c.role == roleActive })
	for i := range all {
		c := &all[i]
		if !c.resigns {
			continue
		}
		agent := r.agents.of(key, c.vm)
		if c.keptUntil = agent.keepsVIP(!held, s.now); !c.keptUntil.IsZero() {
			s.tryAgainIn(c.keptUntil.Sub(s.now))
			continue
		}
		if !held {
			s.tryAgainIn(longestVacancy)
		}
		c.released = r.hadTimeToResign(s, agent) || c.role != roleActive
	}
}

// whyKept says why a VM has the VIP that was to hand it over.
func (c *candidate) whyKept() string {
	return fmt.Sprintf("%s holds the VIP and stays, for no other virtual machine took it when it was handed over, whatever they say; it is tried again at %s",
		c.vm.Name, conditions.ClockTime(c.keptUntil))
}

// resigns tells whether a VM is given a plan without VIPs. As long as nobody else could
// hold them it keeps them, and for a while after nobody took them.
func (s *scope) resigns(vm *capstanv1.VirtualMachine) bool {
	if !isResigning(vm) || slices.ContainsFunc(s.candidates, func(c candidate) bool { return c.vm.UID == vm.UID && !c.keptUntil.IsZero() }) {
		return false
	}
	for i := range s.candidates {
		if c := &s.candidates[i]; c.vm.UID != vm.UID && c.answers && c.carries && !c.resigns && c.vm.DeletionTimestamp.IsZero() {
			return true
		}
	}
	return false
}
