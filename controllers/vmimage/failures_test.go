package vmimage

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

const noFile = "host hv1: the file is not there"

func vm(name, image string, with ...func(*capstanv1.VirtualMachine)) capstanv1.VirtualMachine {
	vm := capstanv1.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Spec: capstanv1.VirtualMachineSpec{Image: image},
	}
	for _, modify := range with {
		modify(&vm)
	}
	return vm
}

func failed(vm *capstanv1.VirtualMachine) {
	conditions.False(vm, capstanv1.ImageStagedCondition, capstanv1.ReasonImageNotFound, noFile)
}

func staging(vm *capstanv1.VirtualMachine) {
	conditions.False(vm, capstanv1.ImageStagedCondition, capstanv1.ReasonStagingImage, "host hv1 is at work")
}

func goes(vm *capstanv1.VirtualMachine) { vm.DeletionTimestamp = ptr.To(metav1.Now()) }

func TestAnImageThatNoHostCanFetchIsNotReady(t *testing.T) {
	const told = "VirtualMachine team/a waits for it: " + noFile
	hosts := []capstanv1.HyperVHost{reporting("hv1", "", "sha"), reporting("hv2", "", "sha")}
	for what, tc := range map[string]struct {
		hosts   []capstanv1.HyperVHost
		vms     []capstanv1.VirtualMachine
		status  metav1.ConditionStatus
		reason  string
		message string
	}{
		"one VM gets none":           {nil, []capstanv1.VirtualMachine{vm("a", "linux", failed)}, metav1.ConditionFalse, capstanv1.ReasonImageNotFound, told},
		"several get none":           {nil, []capstanv1.VirtualMachine{vm("b", "linux", failed), vm("a", "linux", failed)}, metav1.ConditionFalse, capstanv1.ReasonImageNotFound, told + " (and 1 more)"},
		"it lies elsewhere":          {hosts, []capstanv1.VirtualMachine{vm("a", "linux", failed)}, metav1.ConditionTrue, capstanv1.ReasonReady, "staged on 2 volumes, but " + told},
		"it lies on one volume":      {hosts[:1], nil, metav1.ConditionTrue, capstanv1.ReasonReady, "staged on 1 volume"},
		"it is on its way":           {nil, []capstanv1.VirtualMachine{vm("a", "linux", staging)}, metav1.ConditionTrue, capstanv1.ReasonReady, "to be staged where it is first needed"},
		"another image is not found": {nil, []capstanv1.VirtualMachine{vm("a", "windows", failed)}, metav1.ConditionTrue, capstanv1.ReasonReady, "to be staged where it is first needed"},
		"whoever wanted it goes":     {nil, []capstanv1.VirtualMachine{vm("a", "linux", failed, goes)}, metav1.ConditionTrue, capstanv1.ReasonReady, "to be staged where it is first needed"},
	} {
		t.Run(what, func(t *testing.T) {
			image := &capstanv1.VMImage{ObjectMeta: metav1.ObjectMeta{Name: "linux"}, Spec: capstanv1.VMImageSpec{SHA256: "sha"}}
			setStatus(image, tc.hosts, failures("linux", tc.vms))
			NewWithT(t).Expect(conditions.Get(image, capstanv1.ReadyCondition)).To(HaveValue(And(
				HaveField("Status", tc.status), HaveField("Reason", tc.reason), HaveField("Message", tc.message))))
		})
	}
}

func TestOnlyWhatIsInTheWayOfAnImageIsNews(t *testing.T) {
	g := NewWithT(t)
	plain, onItsWay, without, going := vm("a", "linux"), vm("a", "linux", staging), vm("a", "linux", failed), vm("a", "linux", failed, goes)
	update := func(was, is client.Object) bool {
		return failureChanged().Update(event.UpdateEvent{ObjectOld: was, ObjectNew: is})
	}
	g.Expect(update(&plain, &onItsWay)).To(BeFalse())
	g.Expect(update(&onItsWay, &without)).To(BeTrue())
	g.Expect(update(&without, &without)).To(BeFalse())
	g.Expect(update(&without, &going)).To(BeTrue())
	g.Expect(update(&without, &onItsWay)).To(BeTrue())
	g.Expect(failureChanged().Delete(event.DeleteEvent{Object: &without})).To(BeTrue())
	g.Expect(failureChanged().Delete(event.DeleteEvent{Object: &onItsWay})).To(BeFalse())
	g.Expect(failureChanged().Create(event.CreateEvent{Object: &without})).To(BeFalse())
	g.Expect(imageOf(t.Context(), &without)).To(ConsistOf(HaveField("Name", "linux")))
}
