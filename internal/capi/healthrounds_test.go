package capi

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// controlPlane is one that answers, with a condition since noon.
func controlPlane(condition string, status metav1.ConditionStatus) controlplanev1.KubeadmControlPlane {
	kcp := controlplanev1.KubeadmControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop-control-plane", UID: "1"}}
	kcp.Status.Initialization.ControlPlaneInitialized = ptr.To(true)
	kcp.Status.Conditions = []metav1.Condition{{Type: condition, Status: status, LastTransitionTime: metav1.NewTime(noon)}}
	return kcp
}

// rounds are the seconds after noon at which a control plane is looked at, of the first
// so many.
func rounds(kcp *controlplanev1.KubeadmControlPlane, seconds int) []int {
	var at []int
	looked := map[types.UID]time.Time{}
	for second := range seconds {
		now := noon.Add(time.Duration(second) * time.Second)
		looked = enqueueUnwell([]controlplanev1.KubeadmControlPlane{*kcp}, looked, now, func(ctrl.Request) { at = append(at, second) })
	}
	return at
}

func TestAControlPlaneThatIsNotKnownToBeWellIsLookedAtAgain(t *testing.T) {
	for _, condition := range []string{controlplanev1.KubeadmControlPlaneControlPlaneComponentsHealthyCondition, controlplanev1.KubeadmControlPlaneEtcdClusterHealthyCondition} {
		for _, status := range []metav1.ConditionStatus{metav1.ConditionUnknown, metav1.ConditionFalse} {
			kcp := controlPlane(condition, status)
			NewWithT(t).Expect(rounds(&kcp, 100)).To(Equal([]int{2, 4, 8, 16, 32, 52, 72, 92}), "%s is %s", condition, status)
		}
	}
}

func TestNobodyElseIs(t *testing.T) {
	const components = controlplanev1.KubeadmControlPlaneControlPlaneComponentsHealthyCondition
	for name, change := range map[string]func(*controlplanev1.KubeadmControlPlane){
		"it is well":                        func(kcp *controlplanev1.KubeadmControlPlane) { kcp.Status.Conditions[0].Status = metav1.ConditionTrue },
		"it has not begun to answer":        func(kcp *controlplanev1.KubeadmControlPlane) { kcp.Status.Initialization.ControlPlaneInitialized = nil },
		"it is being deleted":               func(kcp *controlplanev1.KubeadmControlPlane) { kcp.DeletionTimestamp = ptr.To(metav1.NewTime(noon)) },
		"nobody has looked at it so far":    func(kcp *controlplanev1.KubeadmControlPlane) { kcp.Status.Conditions = nil },
		"what is not well is another thing": func(kcp *controlplanev1.KubeadmControlPlane) { kcp.Status.Conditions[0].Type = "RollingOut" },
	} {
		t.Run(name, func(t *testing.T) {
			kcp := controlPlane(components, metav1.ConditionUnknown)
			change(&kcp)
			NewWithT(t).Expect(rounds(&kcp, 100)).To(BeEmpty())
		})
	}
}

func TestWhoIsWellAgainIsForgotten(t *testing.T) {
	g := NewWithT(t)
	unwell := controlPlane(controlplanev1.KubeadmControlPlaneControlPlaneComponentsHealthyCondition, metav1.ConditionUnknown)
	well := controlPlane(controlplanev1.KubeadmControlPlaneControlPlaneComponentsHealthyCondition, metav1.ConditionTrue)
	nobody := func(ctrl.Request) { t.Error("it is nobody's turn") }
	looked := enqueueUnwell([]controlplanev1.KubeadmControlPlane{unwell}, nil, noon, nobody)
	g.Expect(looked).To(HaveLen(1))
	g.Expect(enqueueUnwell([]controlplanev1.KubeadmControlPlane{well}, looked, noon.Add(time.Hour), nobody)).To(BeEmpty())
}
