package workloadcluster

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// controlPlaneOf returns a control plane of three, of which so many are at its
// version.
func controlPlaneOf(version string, upToDate int32) *controlplanev1.KubeadmControlPlane {
	return &controlplanev1.KubeadmControlPlane{
		Spec: controlplanev1.KubeadmControlPlaneSpec{Version: version, Replicas: ptr.To[int32](3)},
		Status: controlplanev1.KubeadmControlPlaneStatus{
			Initialization: controlplanev1.KubeadmControlPlaneInitializationStatus{ControlPlaneInitialized: ptr.To(true)},
			Replicas:       ptr.To[int32](3), ReadyReplicas: ptr.To[int32](3), UpToDateReplicas: ptr.To(upToDate),
			Conditions: []metav1.Condition{{Type: controlplanev1.KubeadmControlPlaneAvailableCondition, Status: metav1.ConditionTrue}},
		},
	}
}

func machine(version string, with ...func(*clusterv1.Machine)) clusterv1.Machine {
	m := clusterv1.Machine{
		ObjectMeta: metav1.ObjectMeta{Name: "m", Labels: map[string]string{}},
		Spec:       clusterv1.MachineSpec{Version: version},
		Status: clusterv1.MachineStatus{Conditions: []metav1.Condition{
			{Type: clusterv1.MachineReadyCondition, Status: metav1.ConditionTrue},
			{Type: clusterv1.MachineUpToDateCondition, Status: metav1.ConditionTrue},
		}},
	}
	for _, modify := range with {
		modify(&m)
	}
	return m
}

func ofControlPlane(m *clusterv1.Machine) { m.Labels[clusterv1.MachineControlPlaneLabel] = "" }

func ofPool(name string) func(*clusterv1.Machine) {
	return func(m *clusterv1.Machine) { m.Labels[capstanv1.NodePoolLabel] = name }
}

func notReady(m *clusterv1.Machine) { m.Status.Conditions[0].Status = metav1.ConditionFalse }

func outdated(m *clusterv1.Machine) { m.Status.Conditions[1].Status = metav1.ConditionFalse }

func going(m *clusterv1.Machine) { m.DeletionTimestamp = ptr.To(metav1.Now()) }

func TestPlanVersion(t *testing.T) {
	rolling, settled := controlPlaneOf("v1.36.4", 1), controlPlaneOf("v1.36.4", 3)
	began := controlPlaneOf("v1.36.4", 0)
	began.Status.Initialization.ControlPlaneInitialized = nil
	for what, tc := range map[string]struct {
		wanted   string
		present  *controlplanev1.KubeadmControlPlane
		machines []clusterv1.Machine
		want     versionPlan
	}{
		"lets a patch through":                {wanted: "v1.36.5", present: settled, want: versionPlan{effective: "v1.36.5"}},
		"lets the next minor version through": {wanted: "v1.37.0", present: settled, want: versionPlan{effective: "v1.37.0"}},
		"lets a patch take the place of a roll-out, which may be stuck": {
			wanted: "v1.36.5", present: rolling, want: versionPlan{effective: "v1.36.5"},
		},
		"lets a roll-out of a patch be taken back": {
			wanted: "v1.36.3", present: rolling, machines: []clusterv1.Machine{
				machine("v1.36.4", ofControlPlane), machine("v1.36.4", ofControlPlane), machine("v1.36.3", ofControlPlane),
			},
			want: versionPlan{effective: "v1.36.3"},
		},
		"never goes back to a patch that no machine has any more": {
			wanted: "v1.36.3", present: rolling, machines: []clusterv1.Machine{
				machine("v1.36.4", ofControlPlane), machine("v1.36.4", ofControlPlane), machine("v1.36.3", ofControlPlane, going),
				machine("v1.36.3", ofPool("shop-linux")),
			},
			want: versionPlan{"v1.36.4", "v1.36.3 is refused: no control-plane machine that stays has a version as old; set spec.version to v1.36.4 or later"},
		},
		"never goes back further than the oldest machine": {
			wanted: "v1.36.2", present: rolling, machines: []clusterv1.Machine{machine("v1.36.4", ofControlPlane), machine("v1.36.3", ofControlPlane)},
			want: versionPlan{"v1.36.4", "v1.36.2 is refused: no control-plane machine that stays has a version as old; set spec.version to v1.36.3 or later"},
		},
		"names the present version where no machine stays": {
			wanted: "v1.36.2", present: rolling, machines: []clusterv1.Machine{machine("v1.36.3", ofControlPlane, going)},
			want: versionPlan{"v1.36.4", "v1.36.2 is refused: no control-plane machine that stays has a version as old; set spec.version to v1.36.4 or later"},
		},
		"goes back where nothing ever ran": {
			wanted: "v1.36.3", present: began, machines: []clusterv1.Machine{machine("v1.36.4", ofControlPlane)}, want: versionPlan{effective: "v1.36.3"},
		},
		"lets go on what is in progress": {wanted: "v1.36.4", present: rolling, want: versionPlan{effective: "v1.36.4"}},
		"queues the next minor version while the control plane rolls": {
			wanted: "v1.37.0", present: rolling, machines: []clusterv1.Machine{
				machine("v1.36.4", ofControlPlane), machine("v1.36.3", ofControlPlane), machine("v1.36.3", ofControlPlane),
			},
			want: versionPlan{"v1.36.4", "v1.37.0 is queued: control plane 1/3 at v1.36.4"},
		},
		"queues nothing where nothing ever ran": {wanted: "v1.37.0", present: began, want: versionPlan{effective: "v1.37.0"}},
		"queues what a pool would be too old for": {
			wanted: "v1.37.0", present: settled, machines: []clusterv1.Machine{
				machine("v1.36.4", ofControlPlane), machine("v1.34.0", ofPool("shop-linux")), machine("v1.33.2", ofPool("shop-windows")),
			},
			want: versionPlan{"v1.36.4", "v1.37.0 is queued: NodePool shop-windows is at v1.33.2, and nodes may be 3 minor versions behind the control plane at most: bring them to v1.34.x or later"},
		},
		"queues what a machine of no pool would be too old for": {
			wanted: "v1.37.0", present: settled, machines: []clusterv1.Machine{machine("v1.33.2")},
			want: versionPlan{"v1.36.4", "v1.37.0 is queued: Machine m is at v1.33.2, and nodes may be 3 minor versions behind the control plane at most: bring them to v1.34.x or later"},
		},
		"never leaves out a minor version": {
			wanted: "v1.38.0", present: settled,
			want: versionPlan{"v1.36.4", "v1.38.0 is refused: it leaves out a minor version; set spec.version to v1.37.x first"},
		},
		"never goes back by a minor version": {
			wanted: "v1.35.9", present: settled,
			want: versionPlan{"v1.36.4", "v1.35.9 is refused: the control plane cannot go back from v1.36.4; set spec.version to that or later"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			NewWithT(t).Expect(planVersion(tc.wanted, tc.present, tc.machines)).To(Equal(tc.want))
		})
	}
}

func TestProgressCountsWhatIsDoneAndOfUse(t *testing.T) {
	g := NewWithT(t)
	machines := []clusterv1.Machine{
		machine("v1.36.4", ofControlPlane), machine("v1.36.4", ofControlPlane, notReady), machine("v1.36.4", ofControlPlane, going),
		machine("v1.36.4", ofControlPlane, outdated), machine("v1.36.3", ofControlPlane),
		machine("v1.36.4", ofPool("shop-linux")), machine("v1.36.4", ofPool("shop-linux")), machine("v1.36.3", ofPool("shop-linux")),
		machine("v1.36.4", ofPool("other")),
	}
	g.Expect(controlPlaneProgress(controlPlaneOf("v1.36.4", 1), machines)).To(Equal("control plane 1/3 at v1.36.4"))
	pool := capstanv1.NodePool{
		ObjectMeta: metav1.ObjectMeta{Name: "shop-linux"},
		Spec:       capstanv1.NodePoolSpec{Replicas: ptr.To[int32](4)}, Status: capstanv1.NodePoolStatus{Version: "v1.36.4"},
	}
	g.Expect(poolProgress(&pool, machines, nil)).To(Equal("2/4 at v1.36.4"))
}

func TestMembersThatAreTooManyAreToldOnceAllAreUpToDate(t *testing.T) {
	g := NewWithT(t)
	is, was := machine("v1.36.4", ofControlPlane), machine("v1.36.3", ofControlPlane)
	progress := func(machines ...clusterv1.Machine) string {
		return controlPlaneProgress(controlPlaneOf("v1.36.4", 3), append(machines, machine("v1.36.4", ofPool("shop-linux"))))
	}
	g.Expect(progress(is, is, was, was)).To(Equal("control plane 2/3 at v1.36.4"))
	g.Expect(progress(is, is, is, was)).To(Equal("control plane 3/3 at v1.36.4, 1 to be removed"))
	g.Expect(progress(is, is, is, is, is)).To(Equal("control plane 3/3 at v1.36.4, 2 to be removed"))
	g.Expect(progress(is, is, is)).To(Equal("control plane 3/3 at v1.36.4"))
}

func TestPoolsThatARolloutHasNotComeToWait(t *testing.T) {
	g := NewWithT(t)
	at := func(name, version string) capstanv1.NodePool {
		return capstanv1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: capstanv1.NodePoolStatus{Version: version}}
	}
	held := at("held", "v1.36.3")
	held.Spec.Version = "v1.36.3"
	linux, windows := at("shop-linux", "v1.36.3"), at("shop-windows", "v1.36.3")
	g.Expect(whoWaits([]capstanv1.NodePool{held, at("new", ""), at("done", "v1.36.4")}, "v1.36.4")).To(BeEmpty())
	g.Expect(whoWaits([]capstanv1.NodePool{held, linux}, "v1.36.4")).To(Equal("shop-linux waits"))
	g.Expect(whoWaits([]capstanv1.NodePool{linux, windows}, "v1.36.4")).To(Equal("shop-linux, shop-windows wait"))
}

func TestTheVersionOfAClusterIsItsOldestMachines(t *testing.T) {
	for want, versions := range map[string][]string{
		"":         nil,
		"v1.36.9":  {"v1.36.10", "v1.36.9", "v1.37.0"},
		"v1.35.11": {"v1.36.0", "v1.35.11"},
	} {
		var all []clusterv1.StatusVersion
		for _, v := range versions {
			all = append(all, clusterv1.StatusVersion{Version: v, Replicas: 1})
		}
		NewWithT(t).Expect(lowestVersion(all)).To(Equal(want))
	}
}
