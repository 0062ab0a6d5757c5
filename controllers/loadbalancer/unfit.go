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

// findUnfit notes which VMs answer and do not serve, in the order of s.vms: they have
// not the newest plan, or hold no role with it. It is said of a VM only while another one
// shows that the plan can be carried: what all fail at is the plan's fault, and the next
// VM would fare no better.
func (r *Reconciler) findUnfit(s *scope, now time.Time) []time.Time {
	since := make([]time.Time, len(s.vms))
	planned := make([]bool, len(s.vms))
	for i := range s.vms {
		vm := &s.vms[i]
		agent := r.agents.of(client.ObjectKeyFromObject(s.lb), vm)
		status := agent.observed()
		idle := s.lb.Status.PlanGeneration == 0 || !vm.DeletionTimestamp.IsZero() || isResigning(vm)
		since[i] = agent.unfitSince(now, !idle && whyUnfit(s.lb, status) != "")
		planned[i] = !idle && status != nil && status.Generation > 0
	}
	blamed := make([]time.Time, len(s.vms))
	for i := range since {
		if since[i].IsZero() {
			continue
		}
		if left := since[i].Add(patience).Sub(now); left > 0 {
			s.tryAgainIn(left)
			continue
		}
		for j := range since {
			// One that does not serve of late has done so, and may be about to again.
			if i != j && planned[j] && (since[j].IsZero() || now.Sub(since[j]) < patience) {
				blamed[i] = since[i]
			}
		}
	}
	return blamed
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
	switch {
	case !unfit:
		a.unfit = time.Time{}
	case a.unfit.IsZero():
		a.unfit = now
	}
	return a.unfit
}
