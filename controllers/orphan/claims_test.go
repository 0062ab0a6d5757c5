package orphan

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

var _ = Describe("The address of a VM whose finalizer was removed by hand", func() {
	// abandon makes the claim of a VirtualMachine that has gone without giving it back.
	abandon := func(ctx context.Context, s *site, name string) *ipamv1.IPAddressClaim {
		GinkgoHelper()
		vm := s.object(name)
		env.Create(ctx, vm)
		claim := &ipamv1.IPAddressClaim{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: s.namespace, Name: name + "-0", Finalizers: []string{capstanv1.VirtualMachineFinalizer},
				OwnerReferences: []metav1.OwnerReference{{
					APIVersion: capstanv1.GroupVersion.String(), Kind: "VirtualMachine", Name: name, UID: vm.UID, Controller: ptr.To(true),
				}},
			},
			Spec: ipamv1.IPAddressClaimSpec{PoolRef: ipamv1.IPPoolReference{APIGroup: capstanv1.GroupVersion.Group, Kind: "LogicalNetwork", Name: "lan"}},
		}
		env.Create(ctx, claim)
		DeferCleanup(func(ctx context.Context) {
			if env.Client.Get(ctx, client.ObjectKeyFromObject(claim), claim) == nil {
				testenv.Update(ctx, env, claim, func(c *ipamv1.IPAddressClaim) { c.Finalizers = nil })
			}
		})
		Expect(env.Client.Delete(ctx, vm)).To(Succeed())
		// What garbage collection does, which does not run here.
		Expect(env.Client.Delete(ctx, claim)).To(Succeed())
		return claim
	}
	there := func(ctx context.Context, claim *ipamv1.IPAddressClaim) {
		GinkgoHelper()
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(claim), claim)).To(Succeed())
	}

	It("stays taken as long as a host holds the VM, and is free when that was removed", func(ctx SpecContext) {
		s := newSite(ctx)
		claim := abandon(ctx, s, "stray")
		id := s.stray(ctx, "hv1")
		s.sweep(ctx)
		s.pass(ctx)
		there(ctx, claim)
		Eventually(s.remains(ctx, id)).Should(BeEmpty())
		s.pass(ctx)
		env.ExpectGone(ctx, claim)
		Expect(s.events.Reasons(claim.UID)).To(Equal([]string{eventReleased}))
	})

	It("stays taken as long as a host cannot be asked, or holds something of which nobody knows whose it was", func(ctx SpecContext) {
		s := newSite(ctx, func(p *Policy) { p.Removal = RemoveRemnants })
		claim := abandon(ctx, s, "stray")
		testenv.UpdateStatus(ctx, env, s.host(ctx, "hv1"), func(h *capstanv1.HyperVHost) {
			conditions.False(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonHostUnreachable, "")
		})
		s.pass(ctx)
		there(ctx, claim)
		testenv.UpdateStatus(ctx, env, s.host(ctx, "hv1"), func(h *capstanv1.HyperVHost) {
			conditions.True(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "")
		})
		nameless := s.stray(ctx, "hv1", func(r *hostapi.EnsureVMRequest) { r.Owner = "" })
		s.pass(ctx)
		there(ctx, claim)
		s.acknowledge(ctx, "hv1", s.token(ctx, "hv1"))
		s.pass(ctx)
		Eventually(s.remains(ctx, nameless)).Should(BeEmpty())
		s.sweep(ctx)
		env.ExpectGone(ctx, claim)
	})

	It("stays taken in a dry run, and for the grace period", func(ctx SpecContext) {
		s := newSite(ctx, func(p *Policy) { p.Removal = RemoveNothing })
		claim := abandon(ctx, s, "stray")
		s.pass(ctx)
		there(ctx, claim)
		s.clock.SetTime(claim.DeletionTimestamp.Time)
		s.restart()
		s.sweep(ctx)
		there(ctx, claim)
		s.pass(ctx)
		env.ExpectGone(ctx, claim)
	})
})
