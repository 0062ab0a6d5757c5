package ipam_test

import (
	"context"
	"fmt"
	"slices"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// exhausted makes a claim that is told that its network is full.
func exhausted(ctx context.Context, namespace, name, network string, with ...func(*ipamv1.IPAddressClaim)) *ipamv1.IPAddressClaim {
	claim := newClaim(namespace, name, network, with...)
	env.Create(ctx, claim)
	env.ExpectCondition(ctx, claim, capstanv1.ReadyCondition, metav1.ConditionFalse, ipamv1.IPAddressClaimReadyPoolExhaustedReason, Not(BeEmpty()))
	return claim
}

// holder makes a claim that has the only address of a network.
func holder(ctx context.Context, network *capstanv1.LogicalNetwork, namespace string, with ...func(*ipamv1.IPAddressClaim)) *ipamv1.IPAddressClaim {
	claim := newClaim(namespace, "holder", network.Name, with...)
	env.Create(ctx, claim)
	addressOf(ctx, claim)
	return claim
}

// answered are those of some claims that have an address.
func answered(ctx context.Context, claims []*ipamv1.IPAddressClaim) func() []string {
	return func() []string {
		var names []string
		for _, claim := range claims {
			Expect(client.IgnoreNotFound(env.Client.Get(ctx, client.ObjectKeyFromObject(claim), claim))).To(Succeed())
			if claim.Status.AddressRef.Name != "" {
				names = append(names, claim.Name)
			}
		}
		return names
	}
}

var oneAddress = testenv.WithNodeRange("10.20.0.10", "10.20.0.10")

var _ = Describe("Claims never retried after exhaustion", func() {
	DescribeTable("there are none: a claim has its turn when",
		func(ctx SpecContext, free func(ctx context.Context, network *capstanv1.LogicalNetwork, holder *ipamv1.IPAddressClaim)) {
			network, namespace := newNetwork(ctx, oneAddress), env.Namespace(ctx, GinkgoT())
			first := holder(ctx, network, namespace)
			waits := exhausted(ctx, namespace, "waits", network.Name)
			free(ctx, network, first)
			addressOf(ctx, waits)
		},
		Entry("an address is given back", func(ctx context.Context, _ *capstanv1.LogicalNetwork, holder *ipamv1.IPAddressClaim) {
			Expect(env.Client.Delete(ctx, holder)).To(Succeed())
		}),
		Entry("the range is widened", func(ctx context.Context, network *capstanv1.LogicalNetwork, _ *ipamv1.IPAddressClaim) {
			testenv.Update(ctx, env, network, testenv.WithNodeRange("10.20.0.10", "10.20.0.11"))
		}),
		Entry("what was kept for a buried VM comes free", func(ctx context.Context, network *capstanv1.LogicalNetwork, holder *ipamv1.IPAddressClaim) {
			tombstone := &capstanv1.Tombstone{
				ObjectMeta: metav1.ObjectMeta{Name: "tomb-" + holder.Namespace},
				Spec: capstanv1.TombstoneSpec{
					ID: "00000000-0000-4000-8000-000000000002", VMRef: capstanv1.VMReference{Namespace: holder.Namespace, Name: "vm"}, Host: "hv1",
					Addresses: []capstanv1.ReservedAddress{{LogicalNetwork: network.Name, Address: "10.20.0.10"}},
				},
			}
			env.Create(ctx, tombstone)
			Expect(env.Client.Delete(ctx, holder)).To(Succeed())
			env.ExpectGone(ctx, holder)
			Expect(reservationsIn(ctx, network.Name)).To(HaveLen(1))
			Expect(env.Client.Delete(ctx, tombstone)).To(Succeed())
			Expect(env.Client.Delete(ctx, &capstanv1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: network.Name + "-10.20.0.10"}})).To(Succeed())
		}),
	)

	DescribeTable("what was left to an older claim goes to the next one when that",
		func(ctx SpecContext, leaves func(ctx context.Context, older *ipamv1.IPAddressClaim, cluster *clusterv1.Cluster)) {
			network, namespace := newNetwork(ctx, oneAddress), env.Namespace(ctx, GinkgoT())
			cluster := &clusterv1.Cluster{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
				Spec: clusterv1.ClusterSpec{InfrastructureRef: clusterv1.ContractVersionedObjectReference{
					APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "HyperVCluster", Name: "shop",
				}},
			}
			env.Create(ctx, cluster)
			first := holder(ctx, network, namespace)
			older := exhausted(ctx, namespace, "a-older", network.Name, forCluster("shop"))
			younger := exhausted(ctx, namespace, "b-younger", network.Name)
			leaves(ctx, older, cluster)
			Expect(env.Client.Delete(ctx, first)).To(Succeed())
			addressOf(ctx, younger)
		},
		Entry("is deleted", func(ctx context.Context, older *ipamv1.IPAddressClaim, _ *clusterv1.Cluster) {
			Expect(env.Client.Delete(ctx, older)).To(Succeed())
		}),
		Entry("is paused", func(ctx context.Context, older *ipamv1.IPAddressClaim, _ *clusterv1.Cluster) {
			testenv.Update(ctx, env, older, func(c *ipamv1.IPAddressClaim) { c.Annotations = map[string]string{clusterv1.PausedAnnotation: ""} })
		}),
		Entry("is of a cluster that is paused", func(ctx context.Context, _ *ipamv1.IPAddressClaim, cluster *clusterv1.Cluster) {
			testenv.Update(ctx, env, cluster, func(c *clusterv1.Cluster) { c.Spec.Paused = ptr.To(true) })
		}),
	)

	It("gives what comes free to whoever has waited longest, and asks nobody else", func(ctx SpecContext) {
		const many, served = 20, 3
		network, namespace := newNetwork(ctx, oneAddress), env.Namespace(ctx, GinkgoT())
		has := holder(ctx, network, namespace)
		var line []*ipamv1.IPAddressClaim
		for i := range many {
			line = append(line, exhausted(ctx, namespace, fmt.Sprintf("w%02d", i), network.Name))
		}
		// The API server shows a write before whoever wrote has counted it.
		Eventually(func() int { return written.in(namespace)["patch status of *v1beta2.IPAddressClaim"] }).Should(Equal(many + 1))
		before := written.in(namespace, network.Name)
		for i := range served {
			newcomer := newClaim(namespace, fmt.Sprintf("x%02d", i), network.Name)
			var both sync.WaitGroup
			both.Go(func() {
				defer GinkgoRecover()
				env.Create(ctx, newcomer)
			})
			Expect(env.Client.Delete(ctx, has)).To(Succeed())
			both.Wait()
			has = line[i]
			addressOf(ctx, has)
			line = append(line, newcomer)
		}
		Expect(answered(ctx, line)()).To(Equal([]string{"w00", "w01", "w02"}))
		after := written.in(namespace, network.Name)
		Expect(after["create *v1alpha1.AddressReservation"]-before["create *v1alpha1.AddressReservation"]).To(Equal(served), "one for each address that came free")
		Expect(after).NotTo(HaveKey("fail to create *v1alpha1.AddressReservation"), "and none was tried in vain")
		Expect(after["patch status of *v1beta2.IPAddressClaim"]-before["patch status of *v1beta2.IPAddressClaim"]).
			To(BeNumerically("<=", 2*served), "those who go on waiting are told nothing: there is a word to each newcomer, and to each that is served")
	})

	It("keeps the place of who asks for a certain address", func(ctx SpecContext) {
		network, namespace := newNetwork(ctx, oneAddress), env.Namespace(ctx, GinkgoT())
		first := holder(ctx, network, namespace)
		wishes := newClaim(namespace, "a-wishes", network.Name, func(c *ipamv1.IPAddressClaim) {
			c.Annotations = map[string]string{capstanv1.RequestedAddressAnnotation: "10.20.0.10"}
		})
		env.Create(ctx, wishes)
		env.ExpectCondition(ctx, wishes, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonAddressTaken, Not(BeEmpty()))
		content := exhausted(ctx, namespace, "b-content", network.Name)
		Expect(env.Client.Delete(ctx, first)).To(Succeed())
		Expect(addressOf(ctx, wishes)).To(Equal("10.20.0.10"))
		Expect(answered(ctx, []*ipamv1.IPAddressClaim{content})()).To(BeEmpty())
	})
})

var _ = Describe("Two namespaces that race for one address", func() {
	It("never share it, though two managers believe that it is theirs to give", func(ctx SpecContext) {
		const each = 8
		env.RunReconcilers(GinkgoT(), func(mgr manager.Manager) []testenv.Reconciler {
			return []testenv.Reconciler{&ipam.ClaimReconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: &events}}
		})
		network := newNetwork(ctx, oneAddress)
		var claims []*ipamv1.IPAddressClaim
		for _, namespace := range []string{env.Namespace(ctx, GinkgoT()), env.Namespace(ctx, GinkgoT())} {
			for i := range each {
				claims = append(claims, newClaim(namespace, fmt.Sprintf("vm-%d", i), network.Name))
			}
		}
		var all sync.WaitGroup
		for _, claim := range claims {
			all.Go(func() {
				defer GinkgoRecover()
				env.Create(ctx, claim)
			})
		}
		all.Wait()
		for range 3 {
			Eventually(answered(ctx, claims)).Should(HaveLen(1))
			Eventually(func() map[string]string { return reservationsIn(ctx, network.Name) }).Should(HaveLen(1))
			at := slices.IndexFunc(claims, func(c *ipamv1.IPAddressClaim) bool { return c.Status.AddressRef.Name != "" })
			Expect(reservationsIn(ctx, network.Name)).To(HaveKeyWithValue("10.20.0.10", string(claims[at].UID)))
			Expect(env.Client.Delete(ctx, claims[at])).To(Succeed())
			env.ExpectGone(ctx, claims[at])
			claims = slices.Delete(claims, at, at+1)
		}
	})
})
