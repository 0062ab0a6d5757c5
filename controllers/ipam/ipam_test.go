package ipam_test

import (
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

var _ = Describe("An IPAddressClaim", func() {
	It("gets an IPAddress by the contract", func(ctx SpecContext) {
		network := newNetwork(ctx)
		claim := newClaim(env.Namespace(ctx, GinkgoT()), "vm-0", network.Name, forCluster("shop"))
		env.Create(ctx, claim)
		Expect(addressOf(ctx, claim)).To(Equal("10.20.0.10"))
		Expect(claim.Finalizers).To(ConsistOf(capstanv1.IPAddressClaimFinalizer))
		env.ExpectCondition(ctx, claim, capstanv1.ReadyCondition, metav1.ConditionTrue, capstanv1.ReasonAllocated, Equal("10.20.0.10"))

		address := &ipamv1.IPAddress{}
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(claim), address)).To(Succeed())
		Expect(address.Spec).To(Equal(ipamv1.IPAddressSpec{
			ClaimRef: ipamv1.IPAddressClaimReference{Name: "vm-0"}, PoolRef: claim.Spec.PoolRef,
			Address: "10.20.0.10", Prefix: ptr.To[int32](24), Gateway: "10.20.0.1",
		}))
		Expect(address.OwnerReferences).To(ConsistOf(
			metav1.OwnerReference{
				APIVersion: ipamv1.GroupVersion.String(), Kind: "IPAddressClaim", Name: "vm-0", UID: claim.UID,
				Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			},
			metav1.OwnerReference{
				APIVersion: capstanv1.GroupVersion.String(), Kind: "LogicalNetwork", Name: network.Name, UID: network.UID, BlockOwnerDeletion: ptr.To(true),
			},
		))
		Expect(reservationsIn(ctx, network.Name)).To(Equal(map[string]string{"10.20.0.10": string(claim.UID)}))
	})

	It("gets a virtual address where it asks for one", func(ctx SpecContext) {
		network := newNetwork(ctx)
		claim := newClaim(env.Namespace(ctx, GinkgoT()), "shop-vip", network.Name, func(c *ipamv1.IPAddressClaim) {
			c.Annotations = map[string]string{capstanv1.AddressRangeAnnotation: capstanv1.AddressRangeVIPs}
		})
		env.Create(ctx, claim)
		Expect(addressOf(ctx, claim)).To(Equal("10.20.0.100"))
	})

	It("is told what is wrong with the range it asks for", func(ctx SpecContext) {
		network := newNetwork(ctx)
		claim := newClaim(env.Namespace(ctx, GinkgoT()), "odd", network.Name, func(c *ipamv1.IPAddressClaim) {
			c.Annotations = map[string]string{capstanv1.AddressRangeAnnotation: "printers"}
		})
		env.Create(ctx, claim)
		env.ExpectCondition(ctx, claim, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonInvalidSpec, ContainSubstring(`address range "printers" is unknown: use nodes or vips`))
	})

	It("never shares its address, however many ask at once from wherever", func(ctx SpecContext) {
		network := newNetwork(ctx, testenv.WithNodeRange("10.20.0.10", "10.20.0.29"))
		namespaces := []string{env.Namespace(ctx, GinkgoT()), env.Namespace(ctx, GinkgoT())}
		var claims []*ipamv1.IPAddressClaim
		for i := range 20 {
			claims = append(claims, newClaim(namespaces[i%2], fmt.Sprintf("vm-%d", i/2), network.Name))
		}
		var all sync.WaitGroup
		for _, claim := range claims {
			all.Go(func() {
				defer GinkgoRecover()
				env.Create(ctx, claim)
			})
		}
		all.Wait()
		given := map[string]types.UID{}
		for _, claim := range claims {
			address := addressOf(ctx, claim)
			Expect(given).NotTo(HaveKey(address))
			given[address] = claim.UID
		}
		held := reservationsIn(ctx, network.Name)
		Expect(held).To(HaveLen(20), "no claim holds two")
		for address, uid := range held {
			Expect(given[address]).To(Equal(types.UID(uid)))
		}
	})

	It("says so, once, while the network is full, and goes on when an address comes free", func(ctx SpecContext) {
		network := newNetwork(ctx, testenv.WithNodeRange("10.20.0.10", "10.20.0.11"))
		namespace := env.Namespace(ctx, GinkgoT())
		first, second, third := newClaim(namespace, "a", network.Name), newClaim(namespace, "b", network.Name), newClaim(namespace, "c", network.Name)
		env.Create(ctx, first, second)
		addressOf(ctx, first)
		addressOf(ctx, second)
		env.Create(ctx, third)
		full := fmt.Sprintf("LogicalNetwork %s is full: all 2 addresses of its nodeRanges are taken; widen spec.subnets[0].nodeRanges or free some", network.Name)
		env.ExpectCondition(ctx, third, capstanv1.ReadyCondition, metav1.ConditionFalse, "PoolExhausted", Equal(full))
		env.ExpectCondition(ctx, network, capstanv1.AddressesAvailableCondition, metav1.ConditionFalse, capstanv1.ReasonNetworkFull, Equal("all 2 addresses of nodeRanges are taken"))
		env.ExpectCondition(ctx, network, capstanv1.ReadyCondition, metav1.ConditionTrue, capstanv1.ReasonReady, Not(BeEmpty()))
		Expect(network.Status.Nodes).To(Equal(&capstanv1.AddressCounts{Total: 2, Used: 2}))

		By("being looked at again for nothing")
		testenv.Update(ctx, env, third, func(c *ipamv1.IPAddressClaim) { c.Labels = map[string]string{"look": "again"} })
		Expect(env.Client.Delete(ctx, first)).To(Succeed())
		Expect(addressOf(ctx, third)).To(BeElementOf("10.20.0.10", "10.20.0.11"))
		Expect(events.Of(third.UID)).To(HaveExactElements(
			testenv.Event{Type: "Warning", Reason: "PoolExhausted", Note: full}, HaveField("Reason", capstanv1.ReasonAllocated),
		))
	})

	It("goes on when the network is widened", func(ctx SpecContext) {
		network := newNetwork(ctx, testenv.WithNodeRange("10.20.0.10", "10.20.0.10"))
		namespace := env.Namespace(ctx, GinkgoT())
		first, second := newClaim(namespace, "a", network.Name), newClaim(namespace, "b", network.Name)
		env.Create(ctx, first)
		addressOf(ctx, first)
		env.Create(ctx, second)
		env.ExpectCondition(ctx, second, capstanv1.ReadyCondition, metav1.ConditionFalse, "PoolExhausted", Not(BeEmpty()))
		testenv.Update(ctx, env, network, testenv.WithNodeRange("10.20.0.10", "10.20.0.12"))
		Expect(addressOf(ctx, second)).To(Equal("10.20.0.11"))
	})

	It("waits for a network that is made later", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		claim := newClaim(namespace, "early", "late-"+namespace)
		env.Create(ctx, claim)
		env.ExpectCondition(ctx, claim, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonLogicalNetworkNotFound,
			Equal("LogicalNetwork late-"+namespace+" does not exist: make it, or name another"))
		env.Create(ctx, testenv.NewLogicalNetwork("late-"+namespace))
		Expect(addressOf(ctx, claim)).To(Equal("10.20.0.10"))
	})

	It("gets the address that was reserved for it before a crash", func(ctx SpecContext) {
		network := newNetwork(ctx)
		namespace := env.Namespace(ctx, GinkgoT())
		claim := newClaim(namespace, "vm-0", network.Name, func(c *ipamv1.IPAddressClaim) {
			c.Annotations = map[string]string{clusterv1.PausedAnnotation: ""}
		})
		env.Create(ctx, claim)
		const reserved = "10.20.0.33"
		env.Create(ctx, &capstanv1.AddressReservation{
			ObjectMeta: metav1.ObjectMeta{Name: network.Name + "-" + reserved, Labels: map[string]string{capstanv1.ClaimLabel: string(claim.UID)}},
			Spec: capstanv1.AddressReservationSpec{
				LogicalNetwork: network.Name, Address: reserved,
				ClaimRef: capstanv1.ClaimReference{Namespace: namespace, Name: claim.Name, UID: string(claim.UID)},
			},
		})
		// The controller has seen the reservation once it is counted.
		Eventually(testenv.Get(ctx, env, network)).WithContext(ctx).Should(HaveField("Status.Nodes.Used", int64(1)))
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(claim), claim)).To(Succeed())
		Expect(claim.Finalizers).To(BeEmpty(), "it is paused")
		testenv.Update(ctx, env, claim, func(c *ipamv1.IPAddressClaim) { c.Annotations = nil })
		Expect(addressOf(ctx, claim)).To(Equal(reserved))
		Expect(reservationsIn(ctx, network.Name)).To(HaveLen(1))
	})

	It("keeps its address when the IPAddress is deleted by accident", func(ctx SpecContext) {
		network := newNetwork(ctx)
		claim := newClaim(env.Namespace(ctx, GinkgoT()), "vm-0", network.Name)
		env.Create(ctx, claim)
		was := addressOf(ctx, claim)
		address := &ipamv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Namespace: claim.Namespace, Name: claim.Name}}
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(address), address)).To(Succeed())
		uid := address.UID
		Expect(env.Client.Delete(ctx, address)).To(Succeed())
		Eventually(testenv.Get(ctx, env, address)).WithContext(ctx).Should(And(HaveField("UID", Not(Equal(uid))), HaveField("Spec.Address", was)))
	})

	It("keeps its address when the AddressReservation is deleted by accident", func(ctx SpecContext) {
		network := newNetwork(ctx)
		claim := newClaim(env.Namespace(ctx, GinkgoT()), "vm-0", network.Name)
		env.Create(ctx, claim)
		was := addressOf(ctx, claim)
		reservation := &capstanv1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: network.Name + "-" + was}}
		Expect(env.Client.Delete(ctx, reservation)).To(Succeed())
		expectReservations(ctx, network.Name, was)
		Expect(reservationsIn(ctx, network.Name)).To(HaveKeyWithValue(was, string(claim.UID)))
	})

	It("says so when its address was given a second time", func(ctx SpecContext) {
		network := newNetwork(ctx)
		namespace := env.Namespace(ctx, GinkgoT())
		paused := func(c *ipamv1.IPAddressClaim) { c.Annotations = map[string]string{clusterv1.PausedAnnotation: ""} }
		claim := newClaim(namespace, "vm-0", network.Name)
		env.Create(ctx, claim)
		was := addressOf(ctx, claim)
		testenv.Update(ctx, env, claim, paused)
		reservation := &capstanv1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: network.Name + "-" + was}}
		Expect(env.Client.Delete(ctx, reservation)).To(Succeed())
		second := newClaim(namespace, "vm-1", network.Name)
		env.Create(ctx, second)
		Expect(addressOf(ctx, second)).To(Equal(was))

		testenv.Update(ctx, env, claim, func(c *ipamv1.IPAddressClaim) { c.Annotations = nil })
		env.ExpectCondition(ctx, claim, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonConflict, ContainSubstring("was given to somebody else, too"))
	})

	It("does not take over the IPAddress of an earlier claim of its name", func(ctx SpecContext) {
		network := newNetwork(ctx)
		namespace := env.Namespace(ctx, GinkgoT())
		other := newClaim(namespace, "other", network.Name)
		env.Create(ctx, other)
		taken := addressOf(ctx, other)
		leftover := &ipamv1.IPAddress{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "vm-0", OwnerReferences: []metav1.OwnerReference{{
				APIVersion: ipamv1.GroupVersion.String(), Kind: "IPAddressClaim", Name: "vm-0", UID: "of-the-earlier-one", Controller: ptr.To(true),
			}}},
			Spec: ipamv1.IPAddressSpec{
				ClaimRef: ipamv1.IPAddressClaimReference{Name: "vm-0"}, PoolRef: other.Spec.PoolRef, Address: taken, Prefix: ptr.To[int32](24),
			},
		}
		claim := newClaim(namespace, "vm-0", network.Name)
		env.Create(ctx, leftover, claim)
		env.ExpectCondition(ctx, claim, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonInternalError, ContainSubstring("exists for another claim: waiting for it to go"))
		Expect(env.Client.Delete(ctx, leftover)).To(Succeed())
		Expect(addressOf(ctx, claim)).NotTo(Equal(taken))
	})

	It("of another provider is left alone, even when its IPAddress changes", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		foreign := newClaim(namespace, "foreign", "pool", func(c *ipamv1.IPAddressClaim) {
			c.Spec.PoolRef.APIGroup, c.Spec.PoolRef.Kind = "ipam.example.org", "OtherPool"
		})
		env.Create(ctx, foreign)
		env.Create(ctx, &ipamv1.IPAddress{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "foreign", OwnerReferences: []metav1.OwnerReference{{
				APIVersion: ipamv1.GroupVersion.String(), Kind: "IPAddressClaim", Name: "foreign", UID: foreign.UID, Controller: ptr.To(true),
			}}},
			Spec: ipamv1.IPAddressSpec{ClaimRef: ipamv1.IPAddressClaimReference{Name: "foreign"}, PoolRef: foreign.Spec.PoolRef, Address: "192.0.2.1", Prefix: ptr.To[int32](24)},
		})
		By("answering a claim that came later, so that the foreign one had its turn")
		ours := newClaim(namespace, "ours", newNetwork(ctx).Name)
		env.Create(ctx, ours)
		addressOf(ctx, ours)
		version := foreign.ResourceVersion
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(foreign), foreign)).To(Succeed())
		Expect(foreign.ResourceVersion).To(Equal(version))
	})

	It("waits while its cluster is paused, also with its deletion", func(ctx SpecContext) {
		network := newNetwork(ctx)
		namespace := env.Namespace(ctx, GinkgoT())
		cluster := &clusterv1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
			Spec: clusterv1.ClusterSpec{Paused: ptr.To(true), InfrastructureRef: clusterv1.ContractVersionedObjectReference{
				APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "HyperVCluster", Name: "shop",
			}},
		}
		claim := newClaim(namespace, "vm-0", network.Name, forCluster("shop"))
		// One that is not paused, and comes later, tells that the other had its turn.
		witness := newClaim(namespace, "witness", network.Name, forCluster("other"))
		env.Create(ctx, cluster, claim, witness)
		addressOf(ctx, witness)
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(claim), claim)).To(Succeed())
		Expect(claim.Status.AddressRef.Name).To(BeEmpty())
		testenv.Update(ctx, env, cluster, func(c *clusterv1.Cluster) { c.Spec.Paused = ptr.To(false) })
		addressOf(ctx, claim)
	})
})

var _ = Describe("Deleting an IPAddressClaim", func() {
	It("frees its address", func(ctx SpecContext) {
		network := newNetwork(ctx)
		claim := newClaim(env.Namespace(ctx, GinkgoT()), "vm-0", network.Name, forCluster("gone"))
		env.Create(ctx, claim)
		addressOf(ctx, claim)
		Expect(env.Client.Delete(ctx, claim)).To(Succeed())
		env.ExpectGone(ctx, claim)
		env.ExpectGone(ctx, &ipamv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Namespace: claim.Namespace, Name: claim.Name}})
		expectReservations(ctx, network.Name)
		Eventually(testenv.Get(ctx, env, network)).WithContext(ctx).Should(HaveField("Status.Nodes.Free", int64(41)))
	})

	DescribeTable("frees no address that is held on to", func(ctx SpecContext, holder string) {
		network := newNetwork(ctx)
		namespace := env.Namespace(ctx, GinkgoT())
		claim := newClaim(namespace, "vm-0", network.Name, func(c *ipamv1.IPAddressClaim) {
			c.Finalizers = []string{holder}
		})
		env.Create(ctx, claim)
		held := addressOf(ctx, claim)
		Expect(env.Client.Delete(ctx, claim)).To(Succeed())
		next := newClaim(namespace, "vm-1", network.Name)
		env.Create(ctx, next)
		Expect(addressOf(ctx, next)).NotTo(Equal(held))
		expectReservations(ctx, network.Name, held, addressOf(ctx, next))

		By("the holder being gone")
		testenv.Update(ctx, env, claim, func(c *ipamv1.IPAddressClaim) { controllerutil.RemoveFinalizer(c, holder) })
		env.ExpectGone(ctx, claim)
		expectReservations(ctx, network.Name, addressOf(ctx, next))
	},
		Entry("by a VM", capstanv1.VirtualMachineFinalizer),
		Entry("by a load balancer", capstanv1.LoadBalancerFinalizer),
	)

	It("keeps the address of a buried VM reserved", func(ctx SpecContext) {
		network := newNetwork(ctx, testenv.WithNodeRange("10.20.0.10", "10.20.0.11"))
		namespace := env.Namespace(ctx, GinkgoT())
		claim := newClaim(namespace, "vm-0", network.Name)
		env.Create(ctx, claim)
		address := addressOf(ctx, claim)
		env.Create(ctx, &capstanv1.Tombstone{
			ObjectMeta: metav1.ObjectMeta{Name: "tomb-" + namespace},
			Spec: capstanv1.TombstoneSpec{
				ID: "00000000-0000-4000-8000-000000000001", VMRef: capstanv1.VMReference{Namespace: namespace, Name: "vm"}, Host: "hv1",
				Addresses: []capstanv1.ReservedAddress{{LogicalNetwork: network.Name, Address: address}},
			},
		})
		Expect(env.Client.Delete(ctx, claim)).To(Succeed())
		env.ExpectGone(ctx, claim)
		Expect(reservationsIn(ctx, network.Name)).To(HaveKey(address))
		Eventually(testenv.Get(ctx, env, network)).WithContext(ctx).Should(HaveField("Status.Nodes", Equal(&capstanv1.AddressCounts{Total: 2, Reserved: 1, Free: 1})))
		Expect(network.Status.Unclaimed).To(HaveExactElements(SatisfyAll(
			HaveField("Address", address), HaveField("Claim", namespace+"/vm-0"), HaveField("Reason", capstanv1.UnclaimedBuried),
			HaveField("Message", Equal("Tombstone tomb-"+namespace+": VM "+namespace+"/vm may still run on host hv1")))))
		Expect(network.Status.Users).To(HaveExactElements(capstanv1.NetworkUser{Namespace: namespace, Addresses: 1}))
		again := newClaim(namespace, "vm-0", network.Name)
		env.Create(ctx, again)
		Expect(addressOf(ctx, again)).NotTo(Equal(address), "the buried VM may still use it")
	})

	It("frees what a buried VM had of which nothing is left", func(ctx SpecContext) {
		network := newNetwork(ctx)
		namespace := env.Namespace(ctx, GinkgoT())
		claim := newClaim(namespace, "vm-0", network.Name)
		env.Create(ctx, claim)
		env.Create(ctx, &capstanv1.Tombstone{
			ObjectMeta: metav1.ObjectMeta{Name: "tomb-" + namespace, Annotations: map[string]string{capstanv1.HonouredAnnotation: "true"}},
			Spec: capstanv1.TombstoneSpec{
				ID: "00000000-0000-4000-8000-000000000001", VMRef: capstanv1.VMReference{Namespace: namespace, Name: "vm"}, Host: "hv1",
				Addresses: []capstanv1.ReservedAddress{{LogicalNetwork: network.Name, Address: addressOf(ctx, claim)}},
			},
		})
		Expect(env.Client.Delete(ctx, claim)).To(Succeed())
		env.ExpectGone(ctx, claim)
		expectReservations(ctx, network.Name)
	})

	It("touches no reservation of anybody else", func(ctx SpecContext) {
		network := newNetwork(ctx)
		namespace := env.Namespace(ctx, GinkgoT())
		claim, other := newClaim(namespace, "a", network.Name), newClaim(namespace, "b", network.Name)
		env.Create(ctx, claim, other)
		addressOf(ctx, claim)
		kept := addressOf(ctx, other)
		Expect(env.Client.Delete(ctx, claim)).To(Succeed())
		env.ExpectGone(ctx, claim)
		expectReservations(ctx, network.Name, kept)
	})
})
