package virtualmachine

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestAPausedVMIsReadyOnlyAsLongAsItIsNotChanged(t *testing.T) {
	g := NewWithT(t)
	vm := &capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: "shop-1", Generation: 3}, Spec: capstanv1.VirtualMachineSpec{ClusterName: "shop"}}
	conditions.True(vm, capstanv1.ReadyCondition, capstanv1.ReasonReady, "fine")
	setStatus(&scope{vm: vm, paused: true})
	g.Expect(conditions.IsCurrentlyTrue(vm, capstanv1.ReadyCondition)).To(BeTrue())

	vm.Generation++
	setStatus(&scope{vm: vm, paused: true})
	g.Expect(vm.Status.ObservedGeneration).To(Equal(int64(4)))
	g.Expect(conditions.Get(vm, capstanv1.ReadyCondition)).To(HaveValue(And(
		HaveField("Status", metav1.ConditionFalse), HaveField("Reason", capstanv1.ReasonPaused), HaveField("ObservedGeneration", int64(4)),
		HaveField("Message", "Cluster shop or this VirtualMachine is paused: nothing is done until it is resumed"),
	)))
}
