package service_test

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

var _ = Describe("The claim of a Service's address", func() {
	It("is made again when somebody deletes it", func(ctx SpecContext) {
		s := newSite(ctx)
		for _, name := range []string{"first", "second", "third"} {
			s.expose(ctx, name)
			Eventually(s.published(ctx, name)).ShouldNot(BeEmpty())
		}
		s.expose(ctx, "fourth", annotate(capstanv1.SharedVIPAnnotation, "edge"))
		s.expose(ctx, "fifth", annotate(capstanv1.SharedVIPAnnotation, "edge"), func(s *corev1.Service) { s.Spec.Ports[0].Port = 81 })
		Eventually(s.published(ctx, "fourth")).ShouldNot(BeEmpty())
		Eventually(s.published(ctx, "fifth")).Should(Equal(s.published(ctx, "fourth")()))
		claimOf := func(name string) *ipamv1.IPAddressClaim {
			vip := s.published(ctx, name)()
			for _, claim := range s.claims(ctx) {
				if ready := conditions.Get(&claim, ipamv1.IPAddressClaimReadyCondition); ready != nil && ready.Message == vip && claim.DeletionTimestamp.IsZero() {
					return &claim
				}
			}
			return nil
		}

		By("freeing two, one of them shared")
		for _, name := range []string{"second", "fourth"} {
			vip, old := s.published(ctx, name)(), claimOf(name)
			Expect(env.Client.Delete(ctx, old)).To(Succeed())
			Eventually(func() types.UID {
				if claim := claimOf(name); claim != nil {
					return claim.UID
				}
				return old.UID
			}).ShouldNot(Equal(old.UID))
			Expect(s.told(ctx)["default/"+name].VIP).To(Equal(vip))
			Consistently(s.published(ctx, name), "300ms").Should(Equal(vip))
		}
		Expect(s.told(ctx)["default/fifth"].VIP).To(Equal(s.told(ctx)["default/fourth"].VIP))
		Eventually(s.reserved(ctx)).Should(HaveLen(4))

		By("somebody else having taken it")
		lost := s.published(ctx, "third")()
		thief := &capstanv1.AddressReservation{
			ObjectMeta: metav1.ObjectMeta{Name: addresspool.ReservationName(s.network.Name, netip.MustParseAddr(lost))},
			Spec: capstanv1.AddressReservationSpec{
				LogicalNetwork: s.network.Name, Address: lost,
				ClaimRef: capstanv1.ClaimReference{Namespace: s.namespace, Name: "thief", UID: "thief"},
			},
		}
		hold := claimOf("third")
		before := hold.DeepCopy()
		hold.Finalizers = append(hold.Finalizers, "example.com/hold")
		Expect(env.Client.Patch(ctx, hold, client.MergeFrom(before))).To(Succeed())
		Expect(env.Client.Delete(ctx, hold)).To(Succeed())
		Eventually(func() error { return env.Client.Create(ctx, thief.DeepCopy()) }).Should(Succeed())
		Eventually(func() error {
			before := hold.DeepCopy()
			hold.Finalizers = nil
			return env.Client.Patch(ctx, hold, client.MergeFrom(before))
		}).Should(Succeed())
		Eventually(s.published(ctx, "third")).ShouldNot(Equal(lost))
		Expect(s.published(ctx, "third")()).NotTo(BeEmpty())
		Expect(s.told(ctx)["default/third"].VIP).To(Equal(s.published(ctx, "third")()))
		Expect(env.Client.Delete(ctx, thief)).To(Succeed())

		By("deleting the Service whose address is being claimed again")
		hold = claimOf("first")
		Expect(env.Client.Delete(ctx, hold)).To(Succeed())
		Expect(s.CoreV1().Services("default").Delete(ctx, "first", metav1.DeleteOptions{})).To(Succeed())
		Eventually(s.reserved(ctx)).Should(HaveLen(3))
		Eventually(func() map[string]capstanv1.LoadBalancerService { return s.told(ctx) }).Should(HaveLen(4))
		Consistently(func() map[string]capstanv1.LoadBalancerService { return s.told(ctx) }, "300ms").ShouldNot(HaveKey("default/first"))
	})

	It("does not keep a Service that was made again from an address while it cannot go", func(ctx SpecContext) {
		s := newSite(ctx)
		s.expose(ctx, "web")
		Eventually(s.published(ctx, "web")).Should(Equal("10.20.0.100"))
		loads.keep(s.namespace, true)
		DeferCleanup(func() { loads.keep(s.namespace, false) })
		for _, want := range []string{"10.20.0.101", "10.20.0.102"} {
			Expect(s.CoreV1().Services("default").Delete(ctx, "web", metav1.DeleteOptions{})).To(Succeed())
			Eventually(func() error {
				_, err := s.CoreV1().Services("default").Get(ctx, "web", metav1.GetOptions{})
				return err
			}).Should(MatchError(apierrors.IsNotFound, "NotFound"))
			s.expose(ctx, "web")
			Eventually(s.published(ctx, "web")).Should(Equal(want), "the ones before are held by claims that cannot go")
		}

		By("a restart")
		remote.set(s.cluster, nil)
		Eventually(running).Should(BeZero())
		remote.set(s.cluster, s.config)
		s.change(ctx, "web", func(s *corev1.Service) { s.Spec.Ports[0].Port = 81 })
		Eventually(func() int32 { return s.told(ctx)["default/web"].Ports[0].Port }).Should(BeEquivalentTo(81))
		Expect(s.told(ctx)["default/web"].VIP).To(Equal("10.20.0.102"))

		By("one that asks for what such a claim has")
		s.expose(ctx, "asks", func(s *corev1.Service) { s.Spec.LoadBalancerIP = "10.20.0.101" })
		Eventually(s.warnings(ctx, "asks")).Should(ContainElement(ContainSubstring("waiting for 10.20.0.101, which comes free when")))
	})

	It("goes with a Service that never had its address", func(ctx SpecContext) {
		s := newSite(ctx)
		s.expose(ctx, "first", func(s *corev1.Service) { s.Spec.LoadBalancerIP = "10.20.0.105" })
		Eventually(s.published(ctx, "first")).Should(Equal("10.20.0.105"))
		for name, address := range map[string]string{"taken": "10.20.0.105", "outside": "192.0.2.1"} {
			s.expose(ctx, name, func(s *corev1.Service) { s.Spec.LoadBalancerIP = address })
			Eventually(s.warnings(ctx, name)).ShouldNot(BeEmpty())
		}
		Expect(s.claims(ctx)).To(HaveLen(3))
		for _, name := range []string{"taken", "outside"} {
			Expect(s.CoreV1().Services("default").Delete(ctx, name, metav1.DeleteOptions{})).To(Succeed())
		}
		Eventually(func() []ipamv1.IPAddressClaim { return s.claims(ctx) }).Should(HaveLen(1))
		Expect(s.published(ctx, "first")()).To(Equal("10.20.0.105"))
	})
})
