package loadbalancer_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

var _ = Describe("A LoadBalancer whose VIP another IPAM provider gives out, for which a stand-in stands", func() {
	It("has that VIP, with a virtual router ID of its network, and gives both back", func(ctx SpecContext) {
		s := newSite(ctx)
		network := &capstanv1.LogicalNetwork{ObjectMeta: metav1.ObjectMeta{Name: s.network}}
		testenv.Update(ctx, env, network, func(n *capstanv1.LogicalNetwork) {
			n.Spec.Subnets[0].VIPRanges, n.Spec.Subnets[0].VIPsFrom = nil, testenv.ForeignPool("theirs")
		})
		given := foreignFirst.Addr().String()
		By("an address of theirs that a buried VM may still use")
		tombstone := &capstanv1.Tombstone{
			ObjectMeta: metav1.ObjectMeta{Name: "tomb-" + s.namespace},
			Spec: capstanv1.TombstoneSpec{
				ID: "00000000-0000-4000-8000-000000000009", VMRef: capstanv1.VMReference{Namespace: "elsewhere", Name: "vm"}, Host: "gone",
				Addresses: []capstanv1.ReservedAddress{{LogicalNetwork: s.network, Address: given}},
			},
		}
		Expect(k8s.Create(ctx, tombstone)).To(Succeed())
		lb := s.newLoadBalancer(ctx)
		env.ExpectCondition(ctx, lb, capstanv1.VIPAllocatedCondition, metav1.ConditionFalse, capstanv1.ReasonAddressTaken,
			Equal("OtherPool theirs gave out "+given+", which a VM may still use that cannot be reached: waiting for Tombstone "+tombstone.Name+" to go"))
		Expect(k8s.Delete(ctx, tombstone)).To(Succeed())

		env.ExpectCondition(ctx, lb, capstanv1.VIPAllocatedCondition, metav1.ConditionTrue, capstanv1.ReasonAllocated, Equal(given))
		Expect(lb.Status.VIPs).To(Equal([]string{given}))
		Expect(s.reservations(ctx)).To(ConsistOf(HavePrefix("vrid/")), "the address is theirs to hold, and the ID is ours")
		claim := &ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: clusterName + "-vip"}}
		testenv.Await(ctx, env, claim)
		Expect(claim.Spec.PoolRef).To(Equal(ipamv1.IPPoolReference{APIGroup: testenv.ForeignGroup, Kind: testenv.ForeignKind, Name: "theirs"}))

		Expect(k8s.Delete(ctx, lb)).To(Succeed())
		Eventually(isGone(ctx, lb)).Should(BeTrue())
		env.ExpectGone(ctx, claim)
		Expect(s.reservations(ctx)).To(BeEmpty())
	})

	It("keeps its virtual router ID when its claim is taken away by force, finalizers and all", func(ctx SpecContext) {
		s := newSite(ctx)
		testenv.Update(ctx, env, &capstanv1.LogicalNetwork{ObjectMeta: metav1.ObjectMeta{Name: s.network}}, func(n *capstanv1.LogicalNetwork) {
			n.Spec.Subnets[0].VIPRanges, n.Spec.Subnets[0].VIPsFrom = nil, testenv.ForeignPool("theirs")
		})
		lb := s.newLoadBalancer(ctx)
		env.ExpectCondition(ctx, lb, capstanv1.VIPAllocatedCondition, metav1.ConditionTrue, capstanv1.ReasonAllocated, Not(BeEmpty()))
		vips, router, held := lb.Status.VIPs, lb.Status.VRID, s.reservations(ctx)
		claim := &ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: clusterName + "-vip"}}
		testenv.Await(ctx, env, claim)
		was := claim.UID
		Expect(k8s.Delete(ctx, claim)).To(Succeed())
		Eventually(testenv.Get(ctx, env, claim)).Should(HaveField("Finalizers", Not(ContainElement(HavePrefix("example.org/")))), "its provider has freed it")
		Expect(k8s.Patch(ctx, claim, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		Eventually(testenv.Get(ctx, env, claim)).Should(SatisfyAll(HaveField("UID", Not(Equal(was))), HaveField("Status.AddressRef.Name", Not(BeEmpty()))))
		Eventually(func() []string {
			list := &capstanv1.AddressReservationList{}
			Expect(k8s.List(ctx, list, client.MatchingLabels{capstanv1.ClaimLabel: string(claim.UID)})).To(Succeed())
			var its []string
			for _, r := range list.Items {
				its = append(its, r.Spec.Address)
			}
			return its
		}).Should(Equal(held))
		Expect(s.reservations(ctx)).To(Equal(held), "it takes no second one")
		env.ExpectCondition(ctx, lb, capstanv1.VIPAllocatedCondition, metav1.ConditionTrue, capstanv1.ReasonAllocated, Equal(vips[0]))
		Expect(lb.Status.VRID).To(Equal(router))
		Expect(k8s.Delete(ctx, lb)).To(Succeed())
		Eventually(isGone(ctx, lb)).Should(BeTrue())
		Expect(s.reservations(ctx)).To(BeEmpty())
	})

	It("waits for its network, and then asks who that says", func(ctx SpecContext) {
		s := newSite(ctx)
		late := testenv.NewLogicalNetwork(s.network+"-late", func(n *capstanv1.LogicalNetwork) {
			n.Spec.Subnets[0].VIPRanges, n.Spec.Subnets[0].VIPsFrom = nil, testenv.ForeignPool("theirs")
		})
		lb := s.newLoadBalancer(ctx, func(lb *capstanv1.LoadBalancer) { lb.Spec.LogicalNetwork = late.Name })
		env.ExpectCondition(ctx, lb, capstanv1.VIPAllocatedCondition, metav1.ConditionFalse, capstanv1.ReasonLogicalNetworkNotFound, ContainSubstring(late.Name))
		env.Create(ctx, late)
		env.ExpectCondition(ctx, lb, capstanv1.VIPAllocatedCondition, metav1.ConditionTrue, capstanv1.ReasonAllocated, HavePrefix("198.51.100."))
		Expect(k8s.Delete(ctx, lb)).To(Succeed())
		Eventually(isGone(ctx, lb)).Should(BeTrue())
	})
})
