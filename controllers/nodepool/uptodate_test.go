package nodepool

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/event"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func machineSpec(version, template string) clusterv1.MachineSpec {
	return clusterv1.MachineSpec{
		Version: version, InfrastructureRef: clusterv1.ContractVersionedObjectReference{Kind: "HyperVMachineTemplate", Name: template},
		Bootstrap: clusterv1.Bootstrap{ConfigRef: clusterv1.ContractVersionedObjectReference{Kind: "KubeadmConfigTemplate", Name: "config"}},
	}
}

func machineSet(replicas int32, spec clusterv1.MachineSpec) clusterv1.MachineSet {
	set := clusterv1.MachineSet{}
	set.Spec.Template.Spec, set.Status.Replicas = spec, ptr.To(replicas)
	return set
}

func TestOnlyMachinesMadeFromTheTemplateAreUpToDate(t *testing.T) {
	now, before, image := machineSpec("v1.36.4", "new"), machineSpec("v1.36.3", "new"), machineSpec("v1.36.4", "old")
	drained := machineSpec("v1.36.4", "new")
	drained.Deletion.NodeDrainTimeoutSeconds = ptr.To[int32](5)
	for name, c := range map[string]struct {
		counted int32
		sets    []clusterv1.MachineSet
		want    int32
	}{
		"there is no MachineSet yet":                    {0, nil, 0},
		"all is as it should be":                        {3, []clusterv1.MachineSet{machineSet(3, now), machineSet(0, before)}, 3},
		"the count is from before the version changed":  {3, []clusterv1.MachineSet{machineSet(3, before)}, 0},
		"the count is from before the template changed": {3, []clusterv1.MachineSet{machineSet(3, image), machineSet(1, now)}, 1},
		"machines are not counted yet":                  {1, []clusterv1.MachineSet{machineSet(3, now)}, 1},
		"what is changed where machines are":            {3, []clusterv1.MachineSet{machineSet(3, drained)}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			md := &clusterv1.MachineDeployment{}
			md.Spec.Template.Spec, md.Status.UpToDateReplicas = now, ptr.To(c.counted)
			NewWithT(t).Expect(upToDate(md, c.sets)).To(Equal(c.want))
		})
	}
}

func TestNodesAreReplacedOnceAllThatThereAreAreNewAndAvailable(t *testing.T) {
	now, before := machineSpec("v1.36.4", "new"), machineSpec("v1.36.3", "old")
	set := func(spec clusterv1.MachineSpec, replicas, available int32) clusterv1.MachineSet {
		s := machineSet(replicas, spec)
		s.Status.AvailableReplicas = ptr.To(available)
		return s
	}
	for name, c := range map[string]struct {
		sets []clusterv1.MachineSet
		want bool
	}{
		"there is no MachineSet yet":      {nil, true},
		"all are new":                     {[]clusterv1.MachineSet{set(now, 3, 3), set(before, 0, 0)}, true},
		"the new ones are not there yet":  {[]clusterv1.MachineSet{set(before, 3, 3)}, false},
		"a new one is not available":      {[]clusterv1.MachineSet{set(now, 3, 2)}, false},
		"an old one is left":              {[]clusterv1.MachineSet{set(now, 3, 3), set(before, 1, 1)}, false},
		"one is new, and as many are old": {[]clusterv1.MachineSet{set(now, 1, 0), set(before, 3, 3)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			md := &clusterv1.MachineDeployment{}
			md.Spec.Template.Spec = now
			NewWithT(t).Expect(replaced(md, c.sets, 3)).To(Equal(c.want))
		})
	}
}

func TestAMachineSetIsNewsWhenItsCountOrWhatItTellsOfItsGrowthChanges(t *testing.T) {
	g := NewWithT(t)
	one, two := machineSet(1, machineSpec("v1.36.4", "new")), machineSet(2, machineSpec("v1.36.4", "new"))
	same := one.DeepCopy()
	same.Status.ReadyReplicas = ptr.To[int32](1)
	blocked := one.DeepCopy()
	blocked.Status.Conditions = scaling("Scaling up from 1 to 2 replicas is blocked because:\n* the control plane is upgrading")
	changed := setChanged()
	g.Expect(changed.Update(event.UpdateEvent{ObjectOld: &one, ObjectNew: blocked})).To(BeTrue())
	g.Expect(changed.Update(event.UpdateEvent{ObjectOld: &one, ObjectNew: &two})).To(BeTrue())
	g.Expect(changed.Update(event.UpdateEvent{ObjectOld: &one, ObjectNew: same})).To(BeFalse())
	g.Expect(changed.Create(event.CreateEvent{Object: &one})).To(BeFalse())
	g.Expect(changed.Delete(event.DeleteEvent{Object: &one})).To(BeFalse())
}

func scaling(message string) []metav1.Condition {
	return []metav1.Condition{{Type: clusterv1.MachineSetScalingUpCondition, Status: metav1.ConditionTrue, Message: message}}
}

func TestAPoolNamesAMachineThatIsHeldUpBeforeOneThatTakesLong(t *testing.T) {
	g := NewWithT(t)
	s := &scope{pool: &capstanv1.NodePool{}, cluster: &capstanv1.WorkloadCluster{}, deployment: &clusterv1.MachineDeployment{}}
	s.machines = make([]infrav1.HyperVMachine, 2)
	slow, stuck := &s.machines[0], &s.machines[1]
	slow.Name, stuck.Name = "shop-linux-1", "shop-linux-2"
	conditions.True(slow, capstanv1.ReadyCondition, capstanv1.ReasonReady, "it runs")
	conditions.True(stuck, capstanv1.ReadyCondition, capstanv1.ReasonReady, "it runs")
	g.Expect(waitingMessage(s, 2)).To(Equal("0 of 2 nodes ready"))
	conditions.False(slow, capstanv1.BootstrappedCondition, capstanv1.ReasonWaitingForNode, "waiting for the guest")
	g.Expect(waitingMessage(s, 2)).To(Equal("0 of 2 nodes ready; shop-linux-1: waiting for the guest"))
	conditions.False(stuck, capstanv1.ReadyCondition, capstanv1.ReasonOutOfCapacity, "no room")
	g.Expect(waitingMessage(s, 2)).To(Equal("0 of 2 nodes ready; shop-linux-2: no room"))
}

func TestProgressIsToldOfTheSameMachines(t *testing.T) {
	const blocked = "Scaling up from 2 to 3 replicas is blocked because:\n" +
		"* KubeadmControlPlane default/shop-control-plane is upgrading\n* something else"
	now, before := machineSpec("v1.36.3", "new"), machineSpec("v1.36.3", "old")
	set := func(spec clusterv1.MachineSpec, replicas, available int32, message string) clusterv1.MachineSet {
		s := machineSet(replicas, spec)
		s.Name, s.Status.AvailableReplicas, s.Status.Conditions = "shop-linux-1", ptr.To(available), scaling(message)
		return s
	}
	for name, c := range map[string]struct {
		wanted            int32
		sets              []clusterv1.MachineSet
		uptodate, present int32
		cluster           string
		want              string
	}{
		"the last new one boots and the last old one is there": {
			2, []clusterv1.MachineSet{set(now, 2, 1, ""), set(before, 1, 1, "")}, 2, 3, "v1.36.3",
			"1 of 2 nodes ready, 1 to be removed",
		},
		"all that there are shall go": {0, []clusterv1.MachineSet{set(now, 3, 3, "")}, 3, 3, "v1.36.3", "0 of 0 nodes ready, 3 to be removed"},
		"the control plane is upgrading": {
			3, []clusterv1.MachineSet{set(now, 2, 2, blocked)}, 2, 2, "v1.36.3",
			"2 of 3 nodes ready; MachineSet shop-linux-1: Scaling up from 2 to 3 replicas is blocked because: * KubeadmControlPlane default/shop-control-plane is upgrading * something else",
		},
		"the pool is behind": {
			3, []clusterv1.MachineSet{set(now, 2, 2, blocked)}, 2, 2, "v1.37.0",
			"2 of 3 nodes ready; at v1.36.3 none can be added or repaired, since nodes join the control plane in its own minor version only: raise spec.version to v1.37.0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scope{pool: &capstanv1.NodePool{}, cluster: &capstanv1.WorkloadCluster{}, deployment: &clusterv1.MachineDeployment{}, sets: c.sets}
			s.cluster.Status.Version, s.pool.Spec.Replicas = c.cluster, &c.wanted
			s.deployment.Spec.Template.Spec = now
			s.deployment.Status.Replicas, s.deployment.Status.AvailableReplicas = &c.present, &c.present
			s.deployment.Status.UpToDateReplicas = &c.uptodate
			setReplicas(s)
			NewWithT(t).Expect(waitingMessage(s, c.wanted)).To(Equal(c.want))
		})
	}
}
