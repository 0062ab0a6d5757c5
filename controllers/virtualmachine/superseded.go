package virtualmachine

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// superseded returns the members of its group that a new VM need not keep
// away from, because they are about to go: those that are being deleted, and of
// those made otherwise than it the oldest. In a roll-out that is the member whose
// place it takes: were it counted, the new one would go to the host of another, and
// the group would end up on fewer hosts than it began on.
//
// A VM of a load balancer names the one whose place it takes itself.
//
// Source: sigs.k8s.io/cluster-api v1.14.2, KubeadmControlPlane scales down the
// oldest outdated Machine, in the failure domain that it scaled up before.
func superseded(vm *capstanv1.VirtualMachine, vms []capstanv1.VirtualMachine) map[types.UID]bool {
	if vm.Spec.Role == capstanv1.RoleWorker || vm.Spec.Group == "" {
		return nil
	}
	going := map[types.UID]bool{}
	var next *capstanv1.VirtualMachine
	for i := range vms {
		member := &vms[i]
		switch {
		case member.UID == vm.UID || group(member) != group(vm):
		case !member.DeletionTimestamp.IsZero():
			going[member.UID] = true
		case vm.Spec.Role == capstanv1.RoleLoadBalancer:
			if member.Name == vm.Annotations[capstanv1.SuccessorOfAnnotation] {
				going[member.UID] = true
			}
		case isMadeLike(member, vm) || vm.Spec.FailureDomain != "" && member.Spec.FailureDomain != vm.Spec.FailureDomain:
		case next == nil || isOlder(member, next):
			next = member
		}
	}
	if next != nil {
		going[next.UID] = true
	}
	return going
}

// isMadeLike tells whether nothing that rolls a control plane sets the two apart.
func isMadeLike(a, b *capstanv1.VirtualMachine) bool {
	return a.Spec.Image == b.Spec.Image && equality.Semantic.DeepEqual(a.Spec.Size, b.Spec.Size) &&
		equality.Semantic.DeepEqual(a.Spec.PlacementRules, b.Spec.PlacementRules)
}

func isOlder(a, b *capstanv1.VirtualMachine) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return strings.Compare(a.Name, b.Name) < 0
	}
	return a.CreationTimestamp.Before(&b.CreationTimestamp)
}
