package ipam_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestIPAM(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "IPAM controllers")
}

var (
	env    *testenv.Env
	events testenv.Recorder
	// written is what the controller of claims writes.
	written = &writes{times: map[string]map[string]int{}}
)

var _ = BeforeSuite(func() {
	env = testenv.Start(GinkgoT())
	env.RunReconcilers(GinkgoT(), func(mgr manager.Manager) []testenv.Reconciler {
		return []testenv.Reconciler{
			&ipam.ClaimReconciler{Client: written.of(mgr.GetClient()), Live: mgr.GetAPIReader(), Events: &events},
			&ipam.NetworkReconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: &events, Clock: clock.RealClock{}},
		}
	})
})

// newNetwork makes a network that no other spec uses.
func newNetwork(ctx context.Context, with ...func(*capstanv1.LogicalNetwork)) *capstanv1.LogicalNetwork {
	network := testenv.NewLogicalNetwork("net-"+env.Namespace(ctx, GinkgoT()), with...)
	env.Create(ctx, network)
	return network
}

func newClaim(namespace, name, network string, with ...func(*ipamv1.IPAddressClaim)) *ipamv1.IPAddressClaim {
	claim := &ipamv1.IPAddressClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       ipamv1.IPAddressClaimSpec{PoolRef: ipamv1.IPPoolReference{APIGroup: capstanv1.GroupVersion.Group, Kind: "LogicalNetwork", Name: network}},
	}
	for _, modify := range with {
		modify(claim)
	}
	return claim
}

func forCluster(name string) func(*ipamv1.IPAddressClaim) {
	return func(c *ipamv1.IPAddressClaim) { c.Spec.ClusterName = name }
}

// addressOf waits until a claim has its address.
func addressOf(ctx context.Context, claim *ipamv1.IPAddressClaim) string {
	EventuallyWithOffset(1, testenv.Get(ctx, env, claim)).WithContext(ctx).Should(HaveField("Status.AddressRef.Name", claim.Name))
	address := &ipamv1.IPAddress{}
	ExpectWithOffset(1, env.Client.Get(ctx, client.ObjectKeyFromObject(claim), address)).To(Succeed())
	return address.Spec.Address
}

func reservationsIn(ctx context.Context, network string) map[string]string {
	list := &capstanv1.AddressReservationList{}
	ExpectWithOffset(1, env.Client.List(ctx, list)).To(Succeed())
	held := map[string]string{}
	for i := range list.Items {
		if spec := list.Items[i].Spec; spec.LogicalNetwork == network {
			held[spec.Address] = spec.ClaimRef.UID
		}
	}
	return held
}

func expectReservations(ctx context.Context, network string, held ...string) {
	EventuallyWithOffset(1, func() []string {
		addresses := []string{}
		for address := range reservationsIn(ctx, network) {
			addresses = append(addresses, address)
		}
		return addresses
	}).WithContext(ctx).Should(ConsistOf(held))
}
