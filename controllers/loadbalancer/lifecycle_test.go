package loadbalancer_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// reservations are those of the site's network.
func (s *site) reservations(ctx context.Context) []string {
	list := &capstanv1.AddressReservationList{}
	Expect(k8s.List(ctx, list)).To(Succeed())
	var held []string
	for _, r := range list.Items {
		if r.Spec.LogicalNetwork == s.network {
			held = append(held, r.Spec.Address)
		}
	}
	return held
}

func (s *site) vmsOf(ctx context.Context, lb *capstanv1.LoadBalancer) func() []string {
	return func() (names []string) {
		for _, vm := range s.vms(ctx) {
			if vm.Labels[capstanv1.LoadBalancerLabel] == lb.Name {
				names = append(names, vm.Name)
			}
		}
		return names
	}
}

func isGone(ctx context.Context, obj client.Object) func() bool {
	return func() bool { return apierrors.IsNotFound(k8s.Get(ctx, client.ObjectKeyFromObject(obj), obj)) }
}

var _ = Describe("The life of a LoadBalancer", func() {
	It("ends with nothing left, the VIP last", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		vm := s.waitForVMs(ctx, 1)[0]
		hold(ctx, &vm)
		s.boot(ctx, vm)
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		Expect(s.reservations(ctx)).To(ConsistOf(s.vip(), HavePrefix("vrid/")))

		Expect(k8s.Delete(ctx, lb)).To(Succeed())
		Eventually(message(ctx, lb, capstanv1.ReadyCondition)).Should(ContainSubstring(vm.Name))
		Expect(condition(ctx, lb, capstanv1.ReadyCondition)()).To(Equal("False Deleting"))
		Consistently(func() []string { return s.reservations(ctx) }, "200ms").Should(HaveLen(2), "the VM may still hold the VIP")
		letGo(ctx, &vm)
		Eventually(isGone(ctx, lb)).Should(BeTrue())

		Expect(s.reservations(ctx)).To(BeEmpty())
		Expect(s.vms(ctx)).To(BeEmpty())
		claims, secrets := &ipamv1.IPAddressClaimList{}, &corev1.SecretList{}
		Expect(k8s.List(ctx, claims, client.InNamespace(s.namespace))).To(Succeed())
		Expect(claims.Items).To(BeEmpty())
		Expect(k8s.List(ctx, secrets, client.InNamespace(s.namespace))).To(Succeed())
		Expect(secrets.Items).To(BeEmpty())
	})

	It("waits with a reason while the network is full, and goes on when it is not", func(ctx SpecContext) {
		s := newSite(ctx)
		first := s.newLoadBalancer(ctx)
		Eventually(condition(ctx, first, capstanv1.VIPAllocatedCondition)).Should(Equal("True Allocated"))
		second := s.newLoadBalancer(ctx, func(lb *capstanv1.LoadBalancer) { lb.Name, lb.Spec.ClusterName = "mart", "mart" })
		Eventually(condition(ctx, second, capstanv1.ReadyCondition)).Should(Equal("False NetworkFull"))
		Expect(message(ctx, second, capstanv1.ReadyCondition)()).To(ContainSubstring("vipRanges"))
		Eventually(s.vmsOf(ctx, second)).Should(BeEmpty(), "they would take addresses and be of no use")
		Eventually(condition(ctx, second, capstanv1.InstancesReadyCondition)).Should(Equal("False WaitingForVIP"))
		Expect(k8s.Delete(ctx, first)).To(Succeed())
		Eventually(condition(ctx, second, capstanv1.VIPAllocatedCondition)).Should(Equal("True Allocated"))
		Eventually(s.vmsOf(ctx, second)).Should(HaveLen(1))
	})

	It("makes no VM at all where the network is known to be full", func(ctx SpecContext) {
		s := newSite(ctx)
		first := s.newLoadBalancer(ctx)
		Eventually(condition(ctx, first, capstanv1.VIPAllocatedCondition)).Should(Equal("True Allocated"))
		network := &capstanv1.LogicalNetwork{}
		Expect(k8s.Get(ctx, client.ObjectKey{Name: s.network}, network)).To(Succeed())
		before := network.DeepCopy()
		network.Status.VIPs = &capstanv1.AddressCounts{Total: 1, Used: 1}
		Expect(k8s.Status().Patch(ctx, network, client.MergeFrom(before))).To(Succeed())
		s.waitForVMs(ctx, 1)
		asked.reset(s.namespace)
		second := s.newLoadBalancer(ctx, func(lb *capstanv1.LoadBalancer) { lb.Name, lb.Spec.ClusterName = "mart", "mart" })
		Eventually(condition(ctx, second, capstanv1.ReadyCondition)).Should(Equal("False NetworkFull"))
		count, _ := asked.taken()
		Expect(count).NotTo(HaveKey("PATCH virtualmachines/<name>"))
	})

	It("waits with a reason for a network that does not exist", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx, func(lb *capstanv1.LoadBalancer) { lb.Spec.LogicalNetwork = s.network + "-missing" })
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("False LogicalNetworkNotFound"))
	})

	It("keeps its VIP when somebody deletes the claim", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		s.boot(ctx, s.waitForVMs(ctx, 1)[0])
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		claim := &ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: clusterName + "-vip"}}
		Expect(k8s.Delete(ctx, claim)).To(Succeed())
		Eventually(func() bool {
			return k8s.Get(ctx, client.ObjectKeyFromObject(claim), claim) == nil && !claim.DeletionTimestamp.IsZero()
		}).Should(BeTrue())
		second := s.newLoadBalancer(ctx, func(lb *capstanv1.LoadBalancer) { lb.Name, lb.Spec.ClusterName = "mart", "mart" })
		Eventually(condition(ctx, second, capstanv1.ReadyCondition)).Should(Equal("False NetworkFull"))
		scale(ctx, lb, 2)
		s.waitForVMs(ctx, 2)
		Expect(condition(ctx, lb, capstanv1.VIPAllocatedCondition)()).To(Equal("True Allocated"))

		Expect(k8s.Delete(ctx, lb)).To(Succeed())
		Eventually(isGone(ctx, lb)).Should(BeTrue())
		Eventually(condition(ctx, second, capstanv1.VIPAllocatedCondition)).Should(Equal("True Allocated"))
	})

	It("leaves a claim of its name alone that belongs to somebody else", func(ctx SpecContext) {
		s := newSite(ctx)
		claim := &ipamv1.IPAddressClaim{}
		claim.Namespace, claim.Name = s.namespace, clusterName+"-vip"
		claim.Spec.PoolRef = ipamv1.IPPoolReference{APIGroup: "example.com", Kind: "Pool", Name: "theirs"}
		Expect(k8s.Create(ctx, claim)).To(Succeed())
		lb := s.newLoadBalancer(ctx)
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("False Conflict"))
		Expect(k8s.Delete(ctx, lb)).To(Succeed())
		Eventually(isGone(ctx, lb)).Should(BeTrue())
		Expect(isGone(ctx, claim)()).To(BeFalse())
	})

	It("stands still while it is paused", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx, func(lb *capstanv1.LoadBalancer) {
			lb.Annotations = map[string]string{clusterv1.PausedAnnotation: ""}
		})
		Eventually(condition(ctx, lb, clusterv1.PausedCondition)).Should(Equal("True Paused"))
		Consistently(func() []capstanv1.VirtualMachine { return s.vms(ctx) }, "200ms").Should(BeEmpty())
		now := fetch(ctx, lb)
		before := now.DeepCopy()
		now.Annotations = nil
		Expect(k8s.Patch(ctx, now, client.MergeFrom(before))).To(Succeed())
		s.waitForVMs(ctx, 1)
	})

	It("never shares a virtual router ID with another one of its network", func(ctx SpecContext) {
		s := newSite(ctx)
		network := &capstanv1.LogicalNetwork{}
		Expect(k8s.Get(ctx, client.ObjectKey{Name: s.network}, network)).To(Succeed())
		before := network.DeepCopy()
		network.Spec.Subnets[0].VIPRanges[0].End = s.address(119)
		Expect(k8s.Patch(ctx, network, client.MergeFrom(before))).To(Succeed())
		var all []*capstanv1.LoadBalancer
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			all = append(all, s.newLoadBalancer(ctx, func(lb *capstanv1.LoadBalancer) { lb.Name, lb.Spec.ClusterName = name, name }))
		}
		seen := map[int32]bool{}
		for _, lb := range all {
			Eventually(func() int32 { return fetch(ctx, lb).Status.VRID }).ShouldNot(BeZero())
			seen[fetch(ctx, lb).Status.VRID] = true
		}
		Expect(seen).To(HaveLen(len(all)))
	})
})
