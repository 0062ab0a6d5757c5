package service_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

var _ = Describe("A Service whose address another IPAM provider gives out, for which a stand-in stands", func() {
	It("has it once no buried VM may hold it any more", func(ctx SpecContext) {
		s := newSite(ctx, func(n *capstanv1.LogicalNetwork) {
			n.Spec.Subnets[0].VIPRanges, n.Spec.Subnets[0].VIPsFrom = nil, testenv.ForeignPool("theirs")
		})
		given := foreignFirst.Addr().String()
		tombstone := &capstanv1.Tombstone{
			ObjectMeta: metav1.ObjectMeta{Name: "tomb-" + s.namespace},
			Spec: capstanv1.TombstoneSpec{
				ID: "00000000-0000-4000-8000-000000000011", VMRef: capstanv1.VMReference{Namespace: "elsewhere", Name: "lb"}, Host: "gone",
				Addresses: []capstanv1.ReservedAddress{{LogicalNetwork: s.network.Name, Address: given}},
			},
		}
		env.Create(ctx, tombstone)
		s.expose(ctx, "web")
		Eventually(s.warnings(ctx, "web")).Should(ContainElement(ContainSubstring(
			"waiting for Tombstone " + tombstone.Name + " to go: OtherPool theirs gave out " + given + ", which a VM may still use")))
		Expect(s.told(ctx)).To(BeEmpty(), "no load-balancer VM takes the address")

		Expect(env.Client.Delete(ctx, tombstone)).To(Succeed())
		Eventually(s.published(ctx, "web"), "1m").Should(Equal(given))
	})
})
