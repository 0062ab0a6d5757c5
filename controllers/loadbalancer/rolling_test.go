package loadbalancer_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func setImage(ctx context.Context, lb *capstanv1.LoadBalancer, image string) {
	GinkgoHelper()
	now := fetch(ctx, lb)
	before := now.DeepCopy()
	now.Spec.Image = image
	Expect(k8s.Patch(ctx, now, client.MergeFrom(before))).To(Succeed())
}

// images are those of all VMs.
func (s *site) images(ctx context.Context) func() map[string]int {
	return func() map[string]int {
		images := map[string]int{}
		for _, vm := range s.vms(ctx) {
			images[vm.Spec.Image]++
		}
		return images
	}
}

// fails has the host of a VM say that it should have come up long ago.
func fails(vm *capstanv1.VirtualMachine) {
	vm.Status.Host = "hv-of-" + vm.Name
	says(metav1.ConditionFalse, capstanv1.ReasonVMFailed)(vm)
	meta.SetStatusCondition(&vm.Status.Conditions, metav1.Condition{
		Type: capstanv1.PlacedCondition, Status: metav1.ConditionTrue, Reason: capstanv1.ReasonPlaced,
		LastTransitionTime: metav1.NewTime(leaping.Now().Add(-timeouts.Boot)),
	})
}

func place(ctx context.Context, vm *capstanv1.VirtualMachine) {
	GinkgoHelper()
	Eventually(func() error {
		if err := k8s.Get(ctx, client.ObjectKeyFromObject(vm), vm); err != nil {
			return err
		}
		before := vm.DeepCopy()
		vm.Spec.Placement = &capstanv1.Placement{Host: "hv-of-" + vm.Name, Disks: []capstanv1.DiskPlacement{{Name: "boot", Volume: "csv1"}}}
		return k8s.Patch(ctx, vm, client.MergeFrom(before))
	}).Should(Succeed())
}

var _ = Describe("The VMs of a LoadBalancer whose image changes", func() {
	It("give way one at a time to others that have their share, the active one last", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb, active, standby := s.newPair(ctx)
		s.newCA(ctx)
		s.newMember(ctx, "cp-1")
		Eventually(s.ask).Should(Equal("cp-1"))
		Expect(condition(ctx, lb, capstanv1.InstancesUpToDateCondition)()).To(Equal("True UpToDate"))

		setImage(ctx, lb, "newer")
		Eventually(condition(ctx, lb, capstanv1.InstancesUpToDateCondition)).Should(Equal("False Progressing"))
		Eventually(condition(ctx, lb, capstanv1.InstancesUpToDateCondition), "30s").Should(Equal("True UpToDate"), func() string {
			return message(ctx, lb, capstanv1.InstancesUpToDateCondition)()
		})
		Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(Equal("True Ready"))
		Expect(s.images(ctx)()).To(Equal(map[string]int{"newer": 2}))
		Eventually(h.namesOfGone()).Should(Equal([]string{standby, active}))
		h.with(func() {
			Expect(h.most).To(Equal(1), "never two at once")
			Expect(h.crowd).To(Equal(3), "never more than one beyond what is wanted")
			Expect(h.owners).To(Equal(1))
			Expect(h.robbed).To(BeEmpty(), "the VIP was handed over before")
		})
		Eventually(s.ask).Should(Equal("cp-1"))
	})

	It("are two for a moment where one is wanted", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb := s.newLoadBalancer(ctx)
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		only := s.vms(ctx)[0].Name
		setImage(ctx, lb, "newer")
		Eventually(h.namesOfGone()).Should(ConsistOf(only))
		Eventually(condition(ctx, lb, capstanv1.InstancesUpToDateCondition)).Should(Equal("True UpToDate"))
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		vms := s.vms(ctx)
		Expect(vms).To(HaveLen(1))
		Expect(vms[0].Annotations).To(HaveKeyWithValue(capstanv1.SuccessorOfAnnotation, only), "it may go to the same host")
		h.with(func() {
			Expect(h.crowd).To(Equal(2))
			Expect(h.owners).To(Equal(1))
			Expect(h.robbed).To(BeEmpty(), "the VIP was handed over before")
		})
	})

	It("stay where the first newcomer fails, until the spec changes again", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb, active, standby := s.newPair(ctx)
		setImage(ctx, lb, brokenImage)
		s.waitForVMs(ctx, 3)
		var newcomer capstanv1.VirtualMachine
		for _, vm := range s.vms(ctx) {
			if vm.Spec.Image == brokenImage {
				newcomer = vm
			}
		}
		place(ctx, &newcomer)
		setVMStatus(ctx, &newcomer, fails)
		Eventually(condition(ctx, lb, capstanv1.InstancesUpToDateCondition)).Should(Equal("False NotRolledOut"))
		Expect(message(ctx, lb, capstanv1.InstancesUpToDateCondition)()).To(And(ContainSubstring(newcomer.Name), ContainSubstring("it has never come up")))
		Consistently(s.images(ctx), "500ms").Should(Equal(map[string]int{"ubuntu": 2, brokenImage: 1}))
		Expect(condition(ctx, lb, capstanv1.ReadyCondition)()).To(Equal("True Ready"))
		Expect(role(ctx, lb, active)()).To(Equal("Active"))

		setImage(ctx, lb, "mended")
		Eventually(condition(ctx, lb, capstanv1.InstancesUpToDateCondition), "30s").Should(Equal("True UpToDate"))
		Expect(s.images(ctx)()).To(Equal(map[string]int{"mended": 2}))
		Eventually(h.namesOfGone()).Should(Equal([]string{newcomer.Name, standby, active}))
	})
})
