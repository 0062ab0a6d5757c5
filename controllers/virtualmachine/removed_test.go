package virtualmachine_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

var _ = Describe("VMs removed by hand", func() {
	It("do not wedge the controller: one is made again or told of, and all can be deleted", func(ctx SpecContext) {
		namespace := physics.Namespace(ctx, GinkgoT())
		young, node := physics.vm(namespace, "removed-young"), physics.vm(namespace, "removed-node")
		for _, vm := range []*capstanv1.VirtualMachine{young, node} {
			Eventually(physics.settled(vm)).Should(beReady())
		}
		physics.update(node, func() { node.Spec.RetireSeed = true })
		Eventually(func() (bool, error) {
			return conditions.IsTrue(node, capstanv1.SeedRetiredCondition), physics.get(node)()
		}).Should(BeTrue())

		removed := map[string]bool{}
		for _, vm := range []*capstanv1.VirtualMachine{young, node} {
			guid := physics.physical(vm)[0].GUID
			removed[guid] = true
			_, err := physics.world.Admin().RemoveVM(ctx, fabricapi.VMRef{GUID: guid})
			Expect(err).NotTo(HaveOccurred())
			physics.update(vm, func() { vm.Spec.Group = "noticed" })
		}

		By("making the one again that has not been a node")
		Eventually(func(g Gomega) {
			again := physics.physical(young)
			g.Expect(again).To(HaveLen(1))
			g.Expect(removed).NotTo(HaveKey(again[0].GUID))
		}).Should(Succeed())
		Eventually(physics.settled(young)).Should(beReady())

		By("telling that the other has gone, with what was on its disks")
		Eventually(physics.settled(node)).Should(wait(capstanv1.ReasonVMNotFound, "must be replaced"))
		Expect(physics.physical(node)).To(BeEmpty())

		By("serving others meanwhile, and letting both go")
		other := physics.vm(namespace, "removed-other")
		Eventually(physics.settled(other)).Should(beReady())
		for _, vm := range []*capstanv1.VirtualMachine{young, node} {
			physics.remove(vm)
			Eventually(physics.get(vm)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
			Expect(physics.physical(vm)).To(BeEmpty())
		}
		world, err := physics.world.Admin().World(ctx, fabricapi.None{})
		Expect(err).NotTo(HaveOccurred())
		for _, site := range world.Sites {
			for _, file := range site.Files {
				Expect(file.Stamp == nil || file.Stamp.ID != young.Spec.ID && file.Stamp.ID != node.Spec.ID).To(BeTrue(), "%s is left", file.Path)
			}
		}
	})
})
