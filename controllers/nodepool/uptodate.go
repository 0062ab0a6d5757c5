package nodepool

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// upToDate is how many machines are made from the MachineDeployment's template.
// Its own count is of what its MachineSets last said of their Machines, which for a
// moment after a change is that all of them are as they should be; observedGeneration
// does not cover that. As long as there is no MachineSet, there is no machine either.
func upToDate(md *clusterv1.MachineDeployment, sets []clusterv1.MachineSet) int32 {
	counted := ptr.Deref(md.Status.UpToDateReplicas, 0)
	if len(sets) == 0 {
		return counted
	}
	var made int32
	for i := range sets {
		if isMadeFrom(&sets[i].Spec.Template.Spec, &md.Spec.Template.Spec) {
			made += ptr.Deref(sets[i].Status.Replicas, 0)
		}
	}
	return min(counted, made)
}

// setChanged lets those updates of MachineSets through that change a count, or what
// is told of machines to come.
func setChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, isSet := e.ObjectOld.(*clusterv1.MachineSet)
			after, areSets := e.ObjectNew.(*clusterv1.MachineSet)
			return isSet && areSets && (!ptr.Equal(before.Status.Replicas, after.Status.Replicas) ||
				!ptr.Equal(before.Status.AvailableReplicas, after.Status.AvailableReplicas) ||
				scalingUp(before) != scalingUp(after))
		},
		DeleteFunc:  func(event.DeleteEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// replaced tells whether there are so many machines, all of them made from the
// MachineDeployment's template and available. Of the MachineDeployment's own counts
// one may be older than the other; each MachineSet's are of one moment.
func replaced(md *clusterv1.MachineDeployment, sets []clusterv1.MachineSet, wanted int32) bool {
	var all int32
	for i := range sets {
		all += ptr.Deref(sets[i].Status.Replicas, 0)
	}
	return len(sets) == 0 || all == wanted && newAndAvailable(md, sets) == wanted
}

// newAndAvailable is how many machines are both made from the MachineDeployment's
// template and available. Its own counts do not tell that of the same machines.
func newAndAvailable(md *clusterv1.MachineDeployment, sets []clusterv1.MachineSet) int32 {
	if len(sets) == 0 {
		return min(ptr.Deref(md.Status.AvailableReplicas, 0), ptr.Deref(md.Status.UpToDateReplicas, 0))
	}
	var available int32
	for i := range sets {
		if isMadeFrom(&sets[i].Spec.Template.Spec, &md.Spec.Template.Spec) {
			available += ptr.Deref(sets[i].Status.AvailableReplicas, 0)
		}
	}
	return available
}

// scalingUp tells in Cluster API's own words how a MachineSet that has too few
// machines gets more, or why it cannot, or "" if it has enough. The words are for
// people: no reason tells the two apart.
func scalingUp(set *clusterv1.MachineSet) string {
	scaling := meta.FindStatusCondition(set.Status.Conditions, clusterv1.MachineSetScalingUpCondition)
	if scaling == nil || scaling.Status != metav1.ConditionTrue || scaling.Message == "" {
		return ""
	}
	return fmt.Sprintf("MachineSet %s: %s", set.Name, strings.Join(strings.Fields(scaling.Message), " "))
}

// isMadeFrom tells whether machines need not be replaced for what the template says
// now. What else is in a template reaches machines where they are.
func isMadeFrom(set, template *clusterv1.MachineSpec) bool {
	return set.Version == template.Version && set.InfrastructureRef == template.InfrastructureRef &&
		set.Bootstrap.ConfigRef == template.Bootstrap.ConfigRef && set.FailureDomain == template.FailureDomain
}
