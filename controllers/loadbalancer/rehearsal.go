package loadbalancer

import (
	"slices"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// A VM that may hold the VIP and cannot be told of its successor is in that one's way:
// the two would not hear each other, and both would hold it. Nor may it go for one that
// has shown nothing yet. So where nobody else serves, the successor is given its plan
// without VIPs first. Once that is in force, and the successor still answers, it is good
// for the other one's place.

// hasRehearsed tells that a VM has the newest plan in force, without VIPs.
func hasRehearsed(lb *capstanv1.LoadBalancer, status *lbapi.Status) bool {
	return isWithoutVIPs(status) && status.Generation == lb.Status.PlanGeneration
}

// isWithoutVIPs tells that a VM has a plan by which it holds no VIP.
func isWithoutVIPs(status *lbapi.Status) bool {
	return status != nil && status.Generation > 0 && len(status.VIPs) == 0
}

// rehearses tells whether a VM is given a plan without VIPs until those who may hold them
// are gone.
func (s *scope) rehearses(vm *capstanv1.VirtualMachine) bool {
	own := slices.IndexFunc(s.candidates, func(c candidate) bool { return c.vm.UID == vm.UID })
	if own < 0 || !s.candidates[own].isNew || s.candidates[own].resigns {
		return false
	}
	inTheWay := false
	for i := range s.candidates {
		c := &s.candidates[i]
		if i != own && c.serves {
			return false
		}
		inTheWay = inTheWay || i != own && !c.answers && c.mayLive && c.isDead()
	}
	return inTheWay
}

// isNewcomer tells of a VM that it has never had VIPs.
func (i *instance) isNewcomer(lb *capstanv1.LoadBalancer) bool {
	return !i.hasCarried(lb) || isWithoutVIPs(i.status) && !isResigning(i.vm)
}
