package metrics

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestThePhaseIsWhatAnObjectWaitsFor(t *testing.T) {
	is := func(kind string) metav1.Condition { return condition(kind, metav1.ConditionTrue, "Ready", noon) }
	not := func(kind, reason string) metav1.Condition {
		return condition(kind, metav1.ConditionFalse, reason, noon)
	}
	machine := func(providerID string, conditions ...metav1.Condition) Object {
		return &infrav1.HyperVMachine{
			Spec: infrav1.HyperVMachineSpec{ProviderID: providerID}, Status: infrav1.HyperVMachineStatus{Conditions: conditions},
		}
	}
	balancer := func(replicas int32, conditions ...metav1.Condition) Object {
		return &capstanv1.LoadBalancer{Status: capstanv1.LoadBalancerStatus{Replicas: replicas, Conditions: conditions}}
	}
	cluster := func(conditions ...metav1.Condition) Object {
		return &capstanv1.WorkloadCluster{Status: capstanv1.WorkloadClusterStatus{Conditions: conditions}}
	}
	for name, test := range map[string]struct {
		object Object
		want   phase
	}{
		"a new cluster":                    {cluster(), phaseLoadBalancer},
		"its load balancer is up":          {cluster(is("LoadBalancerReady")), phaseControlPlane},
		"its control plane is up":          {cluster(is("LoadBalancerReady"), is("ControlPlaneReady")), phaseNodePools},
		"its pools are up":                 {cluster(is("LoadBalancerReady"), is("ControlPlaneReady"), is("NodePoolsReady")), phaseReady},
		"all is well with it":              {cluster(is("LoadBalancerReady"), is("ControlPlaneReady"), is("NodePoolsReady"), is("Ready")), ""},
		"its control plane is rolled":      {cluster(is("LoadBalancerReady"), not("ControlPlaneReady", "WaitingForControlPlane"), is("NodePoolsReady")), phaseControlPlane},
		"a new pool":                       {&capstanv1.NodePool{}, phaseMachines},
		"a new load balancer":              {balancer(0), phaseVIP},
		"it has its VIP":                   {balancer(0, is("VIPAllocated"), not("InstancesReady", "WaitingForInstances")), phaseInstances},
		"its VMs are made":                 {balancer(2, is("VIPAllocated"), not("InstancesReady", "Creating")), phaseInstances},
		"its VMs are given the plan":       {balancer(2, is("VIPAllocated"), not("InstancesReady", "WaitingForInstances")), phasePlan},
		"nobody has taken the VIP yet":     {balancer(2, is("VIPAllocated"), is("InstancesReady"), not("Ready", "WaitingForInstances")), phasePlan},
		"it carries its VIP":               {balancer(2, is("VIPAllocated"), is("InstancesReady"), is("Ready")), ""},
		"a new machine":                    {machine(""), phaseOwner},
		"it waits for the load balancer":   {machine("", not("Ready", "WaitingForClusterInfrastructure")), phaseClusterInfra},
		"it waits for its bootstrap data":  {machine("", not("Ready", "WaitingForBootstrapData")), phaseBootstrapData},
		"its VM waits for bootstrap data":  {machine("hyperv://1", not("Ready", "WaitingForBootstrapData")), phaseVirtualMachine},
		"its VM is placed":                 {machine("hyperv://1", not("Ready", "OutOfCapacity")), phaseVirtualMachine},
		"its VM is up":                     {machine("hyperv://1", is("Ready")), ""},
		"a new VM":                         {vm(""), phasePending},
		"its image is copied":              {vm(capstanv1.VMStaging), phaseImage},
		"it runs and its guest has a seed": {vm(capstanv1.VMRunning), phaseNode},
		"it runs by itself":                {vm(capstanv1.VMRunning, is("SeedRetired")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got, ok := phaseOf(test.object)
			g.Expect(ok).To(BeTrue())
			g.Expect(got).To(Equal(test.want))

			test.object.SetDeletionTimestamp(&metav1.Time{Time: noon})
			got, _ = phaseOf(test.object)
			g.Expect(got).To(Equal(phaseDeleting))
		})
	}
}

func TestEveryPhaseOfAVMHasAName(t *testing.T) {
	g := NewWithT(t)
	for _, p := range []capstanv1.VMPhase{
		capstanv1.VMPending, capstanv1.VMAddressing, capstanv1.VMPlacing, capstanv1.VMStaging, capstanv1.VMCreating, capstanv1.VMStarting,
	} {
		g.Expect(vmPhases).To(HaveKey(p))
	}
}
