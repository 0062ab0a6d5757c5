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

var _ = Describe("A LoadBalancer whose claim somebody takes away by force, finalizers and all", func() {
	It("keeps its VIP and its virtual router ID, though others are free", func(ctx SpecContext) {
		s := newSite(ctx)
		testenv.Update(ctx, env, &capstanv1.LogicalNetwork{ObjectMeta: metav1.ObjectMeta{Name: s.network}}, func(n *capstanv1.LogicalNetwork) {
			n.Spec.Subnets[0].VIPRanges = []capstanv1.AddressRange{{Start: s.address(99), End: s.vip()}}
			n.Spec.Subnets[0].NodeRanges[0].End = s.address(98)
		})
		lb := s.newLoadBalancer(ctx)
		env.ExpectCondition(ctx, lb, capstanv1.VIPAllocatedCondition, metav1.ConditionTrue, capstanv1.ReasonAllocated, Not(BeEmpty()))
		vips, router, held := lb.Status.VIPs, lb.Status.VRID, s.reservations(ctx)
		Expect(held).To(ConsistOf(vips[0], HavePrefix("vrid/")))

		claim := &ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: clusterName + "-vip"}}
		testenv.Await(ctx, env, claim)
		was := claim.UID
		Expect(k8s.Delete(ctx, claim)).To(Succeed())
		Expect(k8s.Patch(ctx, claim, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		Eventually(testenv.Get(ctx, env, claim)).Should(SatisfyAll(HaveField("UID", Not(Equal(was))), HaveField("Status.AddressRef.Name", claim.Name)))
		Eventually(func() map[string]string {
			list := &capstanv1.AddressReservationList{}
			Expect(k8s.List(ctx, list, client.MatchingLabels{capstanv1.ClaimLabel: string(claim.UID)})).To(Succeed())
			of := map[string]string{}
			for _, r := range list.Items {
				of[r.Spec.Address] = r.Spec.ClaimRef.UID
			}
			return of
		}).Should(SatisfyAll(HaveLen(2), HaveKeyWithValue(vips[0], string(claim.UID))))
		env.ExpectCondition(ctx, lb, capstanv1.VIPAllocatedCondition, metav1.ConditionTrue, capstanv1.ReasonAllocated, Equal(vips[0]))
		Expect(lb.Status.VIPs).To(Equal(vips))
		Expect(lb.Status.VRID).To(Equal(router))
		Expect(s.reservations(ctx)).To(ConsistOf(held))
	})
})
