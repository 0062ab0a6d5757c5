package hypervhost

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// holding is what a host that is being drained holds by its own word.
type holding struct {
	// ours are VMs that bear our stamp, going those of them that the sweep for orphans
	// removes, theirs those of other installations.
	ours          []string
	going, theirs int
	// remnants are what is left of VMs of ours, on which nothing can run.
	remnants int
	// err is why it could not say so.
	err error
}

// takeStock has a host that seems to be drained say what stands there, running or not. A
// failover cluster answers for all of its nodes; what is on no node is left out.
func (r *Reconciler) takeStock(ctx context.Context, s *scope) {
	if s.left == nil || s.inventory == nil || len(s.left.vms) > 0 {
		return
	}
	s.holding = &holding{}
	going := map[string]bool{}
	for i := range s.host.Status.Orphans {
		orphan := &s.host.Status.Orphans[i]
		going[orphan.ID] = orphan.State == capstanv1.OrphanWaiting || orphan.State == capstanv1.OrphanRemoving
	}
	vms, err := s.agent.ListVMs(ctx)
	if err != nil {
		s.holding.err = err
		return
	}
	for i := range vms {
		vm := &vms[i]
		switch remnant := census.IsRemnant(vm); {
		case vm.Host != s.hello.Host && (s.inventory.FailoverCluster != "" || vm.Host != ""):
		case vm.Stamp.Installation != r.Installation:
			s.holding.theirs++
		case remnant:
			s.holding.remnants++
		default:
			if going[string(vm.Stamp.ID)] {
				s.holding.going++
			}
			s.holding.ours = append(s.holding.ours, fmt.Sprintf("%s (%s, %s)", cmp.Or(vm.Owner, vm.Name), vm.Stamp.ID, vm.State))
		}
	}
	slices.Sort(s.holding.ours)
}

// aside tells of what is on the host and does not count.
func (h *holding) aside() string {
	var parts []string
	if h.theirs > 0 {
		parts = append(parts, conditions.Counted(h.theirs, "VM")+" of other installations")
	}
	if h.remnants > 0 {
		parts = append(parts, "what is left of "+conditions.Counted(h.remnants, "VM")+", on which nothing can run")
	}
	if len(parts) == 0 {
		return ""
	}
	return "; not counted: " + strings.Join(parts, ", and ")
}
