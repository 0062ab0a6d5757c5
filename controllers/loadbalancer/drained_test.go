package loadbalancer_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// newDrainedHost makes the host of a VM, as one that is being drained.
func newDrainedHost(ctx context.Context, vm string) *capstanv1.HyperVHost {
	GinkgoHelper()
	host := &capstanv1.HyperVHost{
		ObjectMeta: metav1.ObjectMeta{Name: "host-of-" + vm},
		Spec:       capstanv1.HyperVHostSpec{Endpoint: "hv.example:9440", Maintenance: capstanv1.MaintenanceDrain},
	}
	Expect(k8s.Create(ctx, host)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(k8s.Delete(ctx, host))).To(Succeed()) })
	return host
}

var _ = Describe("The VMs of a LoadBalancer whose host is drained", func() {
	It("give way to others that have joined before, and hand the VIP over", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb, active, standby := s.newPair(ctx)
		newDrainedHost(ctx, active)
		Eventually(h.namesOfGone(), "30s").Should(Equal([]string{active}))
		Eventually(condition(ctx, lb, capstanv1.InstancesUpToDateCondition), "30s").Should(Equal("True UpToDate"))
		Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(Equal("True Ready"))
		var names []string
		for _, vm := range s.vms(ctx) {
			names = append(names, vm.Name)
		}
		Expect(names).To(And(HaveLen(2), ContainElement(standby)))
		h.with(func() {
			Expect(h.crowd).To(Equal(3), "the newcomer was there before")
			Expect(h.owners).To(Equal(1))
			Expect(h.robbed).To(BeEmpty(), "the VIP was handed over before")
		})
	})

	It("say whom they wait for, and stay when that is undone", func(ctx SpecContext) {
		s := newSite(ctx)
		h := s.runHosts(ctx)
		lb, active, standby := s.newPair(ctx)
		h.with(func() { h.holdNewcomers = true })
		host := newDrainedHost(ctx, standby)
		Eventually(condition(ctx, lb, capstanv1.InstancesUpToDateCondition)).Should(Equal("False Progressing"))
		Eventually(message(ctx, lb, capstanv1.InstancesUpToDateCondition)).Should(And(
			ContainSubstring("still to be replaced: " + standby + " (host host-of-" + standby + " is being drained)")))
		s.waitForVMs(ctx, 3)

		before := host.DeepCopy()
		host.Spec.Maintenance = ""
		Expect(k8s.Patch(ctx, host, client.MergeFrom(before))).To(Succeed())
		Eventually(condition(ctx, lb, capstanv1.InstancesUpToDateCondition)).Should(Equal("True UpToDate"))
		s.waitForVMs(ctx, 2)
		Expect(h.namesOfGone()()).NotTo(ContainElements(active, standby))
	})
})
