package ipam_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// asking asks for a virtual address, a certain one if it names it.
func asking(address string) func(*ipamv1.IPAddressClaim) {
	return func(c *ipamv1.IPAddressClaim) {
		c.Annotations = map[string]string{capstanv1.AddressRangeAnnotation: capstanv1.AddressRangeVIPs}
		if address != "" {
			c.Annotations[capstanv1.RequestedAddressAnnotation] = address
		}
	}
}

var _ = Describe("An IPAddressClaim that asks for a certain address", func() {
	It("gets it", func(ctx SpecContext) {
		network := newNetwork(ctx)
		claim := newClaim(env.Namespace(ctx, GinkgoT()), "web", network.Name, asking("10.20.0.105"))
		env.Create(ctx, claim)
		Expect(addressOf(ctx, claim)).To(Equal("10.20.0.105"))
		Expect(reservationsIn(ctx, network.Name)).To(Equal(map[string]string{"10.20.0.105": string(claim.UID)}))
	})

	It("is told that somebody has it, and gets it once that is over", func(ctx SpecContext) {
		network := newNetwork(ctx)
		namespace := env.Namespace(ctx, GinkgoT())
		first, second := newClaim(namespace, "first", network.Name, asking("")), newClaim(namespace, "second", network.Name, asking("10.20.0.100"))
		env.Create(ctx, first)
		Expect(addressOf(ctx, first)).To(Equal("10.20.0.100"))
		env.Create(ctx, second)
		env.ExpectCondition(ctx, second, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonAddressTaken,
			Equal("10.20.0.100 of LogicalNetwork "+network.Name+" is taken: ask for another, or free it"))
		expectReservations(ctx, network.Name, "10.20.0.100")
		Expect(env.Client.Delete(ctx, first)).To(Succeed())
		Expect(addressOf(ctx, second)).To(Equal("10.20.0.100"))
	})

	DescribeTable("is told that the range does not have it",
		func(ctx SpecContext, address string) {
			network := newNetwork(ctx)
			claim := newClaim(env.Namespace(ctx, GinkgoT()), "web", network.Name, asking("."), func(c *ipamv1.IPAddressClaim) {
				c.Annotations[capstanv1.RequestedAddressAnnotation] = address
			})
			env.Create(ctx, claim)
			env.ExpectCondition(ctx, claim, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonAddressOutOfRange,
				And(ContainSubstring("widen spec.subnets[0].vipRanges"), Not(ContainSubstring("\n"))))
			Expect(reservationsIn(ctx, network.Name)).To(BeEmpty())
		},
		Entry("one for nodes", "10.20.0.10"),
		Entry("one elsewhere", "192.0.2.1"),
		Entry("none at all", ""),
		Entry("hostile text", "10.20.0.100\n10.20.0.101"),
	)

	It("keeps what it was given, whatever it asks for later", func(ctx SpecContext) {
		network := newNetwork(ctx)
		claim := newClaim(env.Namespace(ctx, GinkgoT()), "web", network.Name, asking(""))
		env.Create(ctx, claim)
		Expect(addressOf(ctx, claim)).To(Equal("10.20.0.100"))
		testenv.Update(ctx, env, claim, asking("10.20.0.103"))
		other := newClaim(claim.Namespace, "other", network.Name, asking("10.20.0.103"))
		env.Create(ctx, other)
		Expect(addressOf(ctx, other)).To(Equal("10.20.0.103"))
		Expect(addressOf(ctx, claim)).To(Equal("10.20.0.100"))
	})
})
