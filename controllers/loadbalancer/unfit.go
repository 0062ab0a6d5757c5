package loadbalancer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// unfitness is that a VM answers and does not serve: it has not the newest plan, or holds
// no role with it.
type unfitness struct {
	// since is when that began, zero if it serves or has not failed to for long.
	since time.Time
	// blamed tells that the plan is not at fault, since a VM has served with it: what all
	// fail at is the plan's fault, and the next VM would fare no better.
	blamed bool
	// served tells that it once did serve, or may have before the manager started.
	served bool
}

// findUnfit notes which VMs answer and do not serve, in the order of s.vms.
func (r *Reconciler) findUnfit(s *scope, now time.Time) []unfitness {
	key := client.ObjectKeyFromObject(s.lb)
	since := make([]time.Time, len(s.vms))
	planned := make([]bool, len(s.vms))
	found := make([]unfitness, len(s.vms))
	for i := range s.vms {
		vm := &s.vms[i]
		agent := r.agents.of(key, vm)
		status := agent.observed()
		idle := status == nil || s.lb.Status.PlanGeneration == 0 || !vm.DeletionTimestamp.IsZero() || isResigning(vm) || hasRehearsed(s.lb, status)
		unfit := !idle && whyUnfit(s.lb, status) != ""
		since[i] = agent.unfitSince(now, unfit)
		found[i].served = agent.hasServed(hasCarried(s.lb, vm), !idle && !unfit)
		planned[i] = !idle && status.Generation > 0
		if !idle && !unfit {
			r.agents.served(key, s.lb.Status.PlanGeneration)
		}
	}
	proven := r.agents.lastServed(key) == s.lb.Status.PlanGeneration
	for i := range since {
		if since[i].IsZero() {
			continue
		}
		if left := since[i].Add(patience).Sub(now); left > 0 {
			s.tryAgainIn(left)
			continue
		}
		found[i].since, found[i].blamed = since[i], proven
		for j := range since {
			// One that does not serve of late has done so, and may be about to again.
			if i != j && planned[j] && (since[j].IsZero() || now.Sub(since[j]) < patience) {
				found[i].blamed = true
			}
		}
	}
	return found
}

// whyUnfit says why a VM whose agent answers does not serve, or "".
func whyUnfit(lb *capstanv1.LoadBalancer, status *lbapi.Status) string {
	if status == nil {
		return ""
	}
	var why string
	switch {
	case status.Generation != lb.Status.PlanGeneration:
		why = fmt.Sprintf("it has plan %d, and %d is the newest", status.Generation, lb.Status.PlanGeneration)
	case roleOf(status) == roleUnknown:
		why = "it neither holds the VIP nor can take it"
	default:
		return ""
	}
	return strings.Join(slices.Concat([]string{why}, status.Messages), "; ")
}

// unfitSince returns since when the agent answers and does not serve.
func (a *agent) unfitSince(now time.Time, unfit bool) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unfit.goesOn(unfit, now)
}

// hasServed tells whether the VM has ever served. carried tells whether it has had a
// plan, and serves whether it serves now.
func (a *agent) hasServed(carried, serves bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.judged {
		a.judged, a.everServed = true, carried
	}
	a.everServed = a.everServed || serves
	return a.everServed
}
