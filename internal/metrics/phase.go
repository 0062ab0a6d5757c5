package metrics

import (
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// Object is an object with conditions.
type Object interface {
	metav1.Object
	GetConditions() []metav1.Condition
}

// phase is what an object is busy with. The empty one is that of an object that
// has all it wants.
type phase string

const (
	phaseDeleting phase = "deleting"
	phaseReady    phase = "ready"

	// Of VirtualMachines; docs/virtualmachine-states.md draws them.

	phasePending phase = "pending"
	phaseAddress phase = "address"
	phasePlace   phase = "placement"
	phaseImage   phase = "image"
	phaseCreate  phase = "create"
	phaseStart   phase = "start"
	phaseNode    phase = "node"

	// Of HyperVMachines.

	phaseOwner          phase = "owner"
	phaseClusterInfra   phase = "cluster_infrastructure"
	phaseBootstrapData  phase = "bootstrap_data"
	phaseVirtualMachine phase = "virtual_machine"

	// Of LoadBalancers.

	phaseVIP       phase = "vip"
	phaseInstances phase = "instances"
	phasePlan      phase = "plan"

	// Of WorkloadClusters, HyperVClusters and NodePools.

	phaseLoadBalancer phase = "load_balancer"
	phaseControlPlane phase = "control_plane"
	phaseNodePools    phase = "node_pools"
	phaseMachines     phase = "machines"
)

// link is a condition, and the phase in which it is waited for.
type link struct {
	condition string
	phase     phase
}

// chains are the conditions of the kinds that wait for one after the other. The
// first that is not True gives the phase.
var chains = map[string][]link{
	"WorkloadCluster": {
		{capstanv1.LoadBalancerReadyCondition, phaseLoadBalancer},
		{capstanv1.ControlPlaneReadyCondition, phaseControlPlane},
		{capstanv1.NodePoolsReadyCondition, phaseNodePools},
		{capstanv1.ReadyCondition, phaseReady},
	},
	"NodePool":      {{capstanv1.MachinesReadyCondition, phaseMachines}, {capstanv1.ReadyCondition, phaseReady}},
	"HyperVCluster": {{capstanv1.LoadBalancerReadyCondition, phaseLoadBalancer}, {capstanv1.ReadyCondition, phaseReady}},
}

var vmPhases = map[capstanv1.VMPhase]phase{
	"":                     phasePending,
	capstanv1.VMPending:    phasePending,
	capstanv1.VMAddressing: phaseAddress,
	capstanv1.VMPlacing:    phasePlace,
	capstanv1.VMStaging:    phaseImage,
	capstanv1.VMCreating:   phaseCreate,
	capstanv1.VMStarting:   phaseStart,
}

// kindOf names the kind. A typed object that was read from a cache does not tell
// it; our types are called as their kinds are.
func kindOf(obj any) string {
	t := reflect.TypeOf(obj)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// phaseOf returns what an object is busy with, and whether its kind has phases.
func phaseOf(obj Object) (phase, bool) {
	kind := kindOf(obj)
	chain, chained := chains[kind]
	var is phase
	switch o := obj.(type) {
	case *capstanv1.VirtualMachine:
		is = phaseOfVM(o)
	case *infrav1.HyperVMachine:
		is = phaseOfMachine(o)
	case *capstanv1.LoadBalancer:
		is = phaseOfLoadBalancer(o)
	default:
		if !chained {
			return "", false
		}
		is = phaseIn(chain, obj)
	}
	if obj.GetDeletionTimestamp() != nil {
		is = phaseDeleting
	}
	return is, true
}

func phaseIn(chain []link, obj Object) phase {
	for _, l := range chain {
		if !isTrue(obj, l.condition) {
			return l.phase
		}
	}
	return ""
}

func isTrue(obj Object, condition string) bool {
	return meta.IsStatusConditionTrue(obj.GetConditions(), condition)
}

func phaseOfVM(vm *capstanv1.VirtualMachine) phase {
	if is, ok := vmPhases[vm.Status.Phase]; ok {
		return is
	}
	if !isTrue(vm, capstanv1.SeedRetiredCondition) {
		return phaseNode
	}
	return ""
}

func phaseOfMachine(m *infrav1.HyperVMachine) phase {
	ready := meta.FindStatusCondition(m.Status.Conditions, capstanv1.ReadyCondition)
	switch {
	case ready == nil || ready.Reason == capstanv1.ReasonWaitingForCluster:
		return phaseOwner
	case ready.Status == metav1.ConditionTrue:
		return ""
	case ready.Reason == capstanv1.ReasonWaitingForClusterInfra:
		return phaseClusterInfra
	case ready.Reason == capstanv1.ReasonWaitingForBootstrapData && m.Spec.ProviderID == "":
		return phaseBootstrapData
	default:
		return phaseVirtualMachine
	}
}

// phaseOfLoadBalancer tells VMs that are waited for from plans that are: why an
// instance lags behind is its VM's reason as long as that is not up.
func phaseOfLoadBalancer(lb *capstanv1.LoadBalancer) phase {
	instances := meta.FindStatusCondition(lb.Status.Conditions, capstanv1.InstancesReadyCondition)
	switch {
	case !isTrue(lb, capstanv1.VIPAllocatedCondition):
		return phaseVIP
	case isTrue(lb, capstanv1.ReadyCondition) && isTrue(lb, capstanv1.InstancesReadyCondition):
		return ""
	case instances != nil && lb.Status.Replicas > 0 &&
		(instances.Status == metav1.ConditionTrue || instances.Reason == capstanv1.ReasonWaitingForInstances):
		return phasePlan
	default:
		return phaseInstances
	}
}
