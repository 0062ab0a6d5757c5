package virtualmachine_test

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

var _ = Describe("A VirtualMachine whose address another IPAM provider gives out, for which a stand-in stands", func() {
	It("boots with that address, shares none with a buried VM, and gives it back", func(ctx SpecContext) {
		network := physics.addNetwork("theirs", "7", "99")
		first := netip.MustParseAddr(network.Spec.Subnets[0].NodeRanges[0].Start)
		physics.update(network, func() {
			network.Spec.Subnets[0].NodeRanges, network.Spec.Subnets[0].NodesFrom = nil, testenv.ForeignPool("pool")
		})
		physics.RunReconcilers(GinkgoT(), func(mgr manager.Manager) []testenv.Reconciler {
			return []testenv.Reconciler{&testenv.ForeignProvider{
				Client: mgr.GetClient(), First: netip.PrefixFrom(first, 24), Gateway: netip.MustParseAddr(network.Spec.Subnets[0].Gateway),
			}}
		})
		namespace := physics.Namespace(ctx, GinkgoT())
		away := &capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: "away-" + namespace}, Spec: capstanv1.HyperVHostSpec{Endpoint: "127.0.0.1:1"}}
		physics.create(away)
		DeferCleanup(func() { physics.remove(away) })
		tombstone := &capstanv1.Tombstone{
			ObjectMeta: metav1.ObjectMeta{Name: "tomb-" + namespace},
			Spec: capstanv1.TombstoneSpec{
				ID: "00000000-0000-4000-8000-000000000008", VMRef: capstanv1.VMReference{Namespace: "elsewhere", Name: "vm"}, Host: away.Name,
				Addresses: []capstanv1.ReservedAddress{{LogicalNetwork: "theirs", Address: first.String()}},
			},
		}
		physics.create(tombstone)
		vm := physics.vm(namespace, "guest", func(vm *capstanv1.VirtualMachine) { vm.Spec.Networks[0].LogicalNetwork = "theirs" })
		Eventually(physics.settled(vm)).Should(wait(capstanv1.ReasonAddressTaken, "waiting for Tombstone "+tombstone.Name+" to go"))
		Expect(physics.physical(vm)).To(BeEmpty())
		physics.update(tombstone, func() { metav1.SetMetaDataAnnotation(&tombstone.ObjectMeta, capstanv1.HonouredAnnotation, "true") })

		Eventually(physics.settled(vm)).Should(beReady())
		Expect(vm.Status.Addresses).To(ConsistOf(first.String()))
		claim := &ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "guest-0"}}
		Expect(physics.get(claim)()).To(Succeed())
		Expect(claim.Spec.PoolRef).To(Equal(ipamv1.IPPoolReference{APIGroup: testenv.ForeignGroup, Kind: testenv.ForeignKind, Name: "pool"}))

		physics.remove(vm)
		Eventually(physics.get(vm)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
		Eventually(physics.get(claim)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
	})
})
