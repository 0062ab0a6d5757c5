package hypervhost

import (
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/pki"
)

func reconcilerWith(t *testing.T, objects ...client.Object) *Reconciler {
	t.Helper()
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, capstanv1.AddToScheme, ipamv1.AddToScheme, infrav1.AddToScheme} {
		g.Expect(add(scheme)).To(Succeed())
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&capstanv1.Tombstone{}).Build()
	r := &Reconciler{Client: c, Live: c, Agents: &Agents{Namespace: "capstan-system"}}
	r.prepare()
	return r
}

func buriedVM(failoverCluster string) *capstanv1.Tombstone {
	return &capstanv1.Tombstone{
		ObjectMeta: metav1.ObjectMeta{Name: "id", UID: "tombstone", Finalizers: []string{capstanv1.TombstoneFinalizer}},
		Spec: capstanv1.TombstoneSpec{
			ID: "id", VMRef: capstanv1.VMReference{Namespace: "team", Name: "vm"}, Host: "hv1", FailoverCluster: failoverCluster,
			Addresses: []capstanv1.ReservedAddress{{LogicalNetwork: "lan", Address: "10.0.0.5"}},
		},
	}
}

func claimOf(vm string) *ipamv1.IPAddressClaim {
	return &ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team", Name: vm + "-0", UID: "claim",
		OwnerReferences: []metav1.OwnerReference{{APIVersion: capstanv1.GroupVersion.String(), Kind: "VirtualMachine", Name: vm, UID: "vm-uid"}},
	}}
}

func reservationFor(claim *ipamv1.IPAddressClaim) *capstanv1.AddressReservation {
	return &capstanv1.AddressReservation{
		ObjectMeta: metav1.ObjectMeta{Name: addresspool.ReservationName("lan", netip.MustParseAddr("10.0.0.5")), UID: "reservation"},
		Spec: capstanv1.AddressReservationSpec{
			LogicalNetwork: "lan", Address: "10.0.0.5",
			ClaimRef: capstanv1.ClaimReference{Namespace: claim.Namespace, Name: claim.Name, UID: string(claim.UID)},
		},
	}
}

func (r *Reconciler) isGone(t *testing.T, obj client.Object) bool {
	t.Helper()
	err := r.Live.Get(t.Context(), client.ObjectKeyFromObject(obj), obj)
	NewWithT(t).Expect(client.IgnoreNotFound(err)).To(Succeed())
	return apierrors.IsNotFound(err)
}

func TestATombstoneStandsUntilTheClaimOfItsVMIsReleased(t *testing.T) {
	g := NewWithT(t)
	tombstone, claim := buriedVM(""), claimOf("vm")
	reservation := reservationFor(claim)
	r := reconcilerWith(t, tombstone, claim, reservation)

	g.Expect(r.releaseOfRemoved(t.Context(), "hv1")).To(BeTrue(), "it has to be tried again")
	g.Expect(r.isGone(t, tombstone)).To(BeFalse())
	g.Expect(r.isGone(t, reservation)).To(BeFalse())

	g.Expect(r.Client.Delete(t.Context(), claim)).To(Succeed())
	g.Expect(r.releaseOfRemoved(t.Context(), "hv1")).To(BeFalse())
	g.Expect(r.isGone(t, tombstone)).To(BeTrue())
	g.Expect(r.isGone(t, reservation)).To(BeTrue(), "nobody else would free it")
}

func TestAnAddressThatWasGivenToAnotherVMIsLeftToIt(t *testing.T) {
	g := NewWithT(t)
	tombstone, claim := buriedVM(""), claimOf("another")
	reservation := reservationFor(claim)
	r := reconcilerWith(t, tombstone, claim, reservation)
	g.Expect(r.releaseOfRemoved(t.Context(), "hv1")).To(BeFalse())
	g.Expect(r.isGone(t, tombstone)).To(BeTrue())
	g.Expect(r.isGone(t, reservation)).To(BeFalse())
}

func TestAVIPIsFreedByTheLastThatMayHoldIt(t *testing.T) {
	deleted := func(finalizer string) func(*ipamv1.IPAddressClaim) {
		return func(c *ipamv1.IPAddressClaim) {
			c.DeletionTimestamp, c.Finalizers = ptr.To(metav1.Now()), []string{finalizer}
		}
	}
	honoured := func(t *capstanv1.Tombstone) {
		t.Annotations = map[string]string{capstanv1.HonouredAnnotation: "true"}
	}
	for name, tc := range map[string]struct {
		claim func(*ipamv1.IPAddressClaim)
		other func(*capstanv1.Tombstone)
		freed bool
	}{
		"its load balancer lives":                      {claim: func(*ipamv1.IPAddressClaim) {}},
		"it is given back, and another VM may have it": {claim: deleted(capstanv1.LoadBalancerFinalizer)},
		"it is given back":                             {claim: deleted(capstanv1.IPAddressClaimFinalizer), freed: true},
		"its load balancer is gone":                    {freed: true},
		"another buried VM may have it":                {other: func(*capstanv1.Tombstone) {}},
		"another one had it":                           {other: honoured, freed: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			claim := &ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{
				Namespace: "team", Name: "shop-vip", UID: "claim",
				OwnerReferences: []metav1.OwnerReference{{APIVersion: capstanv1.GroupVersion.String(), Kind: "LoadBalancer", Name: "shop", UID: "lb"}},
			}}
			tombstone, reservation := buriedVM(""), reservationFor(claim)
			objects := []client.Object{tombstone, reservation}
			if tc.claim != nil {
				tc.claim(claim)
				objects = append(objects, claim)
			}
			if tc.other != nil {
				other := buriedVM("")
				other.Name, other.UID, other.Spec.Host = "other", "other", "hv2"
				tc.other(other)
				objects = append(objects, other)
			}
			r := reconcilerWith(t, objects...)
			g.Expect(r.releaseOfRemoved(t.Context(), "hv1")).To(BeFalse(), "nothing is waited for")
			g.Expect(r.isGone(t, tombstone)).To(BeTrue())
			g.Expect(r.isGone(t, reservation)).To(Equal(tc.freed))
		})
	}
}

func TestATombstoneStandsWhileAHostMaySpeakForItsFailoverCluster(t *testing.T) {
	known := func(cluster string) capstanv1.HyperVHostStatus {
		return capstanv1.HyperVHostStatus{Memory: ptr.To(resource.MustParse("64Gi")), FailoverCluster: cluster}
	}
	for name, test := range map[string]struct {
		status   capstanv1.HyperVHostStatus
		lost     bool
		released bool
		waiting  bool
	}{
		"a node of it":             {status: known("fc1")},
		"a host that said nothing": {waiting: true},
		"one that never will":      {lost: true, released: true},
		"a node of another":        {status: known("fc2"), released: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			tombstone := buriedVM("fc1")
			host := &capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: "hv2"}, Spec: capstanv1.HyperVHostSpec{Lost: test.lost}, Status: test.status}
			r := reconcilerWith(t, tombstone, host)
			g.Expect(r.releaseOfRemoved(t.Context(), "hv1")).To(Equal(test.waiting))
			g.Expect(r.isGone(t, tombstone)).To(Equal(test.released))
		})
	}
}

func TestATombstoneSaysWhatItWaitsFor(t *testing.T) {
	g := NewWithT(t)
	tombstone, elsewhere, claim := buriedVM(""), buriedVM("fc1"), claimOf("vm")
	elsewhere.Name = "elsewhere"
	r := reconcilerWith(t, tombstone, elsewhere, claim, reservationFor(claim))
	waitsFor := func(reason, message string) {
		t.Helper()
		g.Expect(r.isGone(t, tombstone)).To(BeFalse())
		g.Expect(conditions.Get(tombstone, capstanv1.ReadyCondition)).To(SatisfyAll(
			HaveField("Status", metav1.ConditionFalse), HaveField("Reason", reason), HaveField("Message", ContainSubstring(message))))
	}

	s := &scope{host: &capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: "hv1"}}, err: unreachable(nil)}
	g.Expect(r.tellOfSilence(t.Context(), s)).To(Succeed())
	waitsFor(capstanv1.ReasonHostUnreachable, "no answer")
	g.Expect(r.isGone(t, elsewhere)).To(BeFalse())
	g.Expect(elsewhere.Status.Conditions).To(BeEmpty(), "another node may answer")

	g.Expect(r.honour(t.Context(), tombstone, false)).To(Succeed())
	waitsFor(capstanv1.ReasonDeleting, "being deleted")
	g.Expect(r.honour(t.Context(), tombstone, true)).To(Succeed())
	waitsFor(capstanv1.ReasonDeleting, "claims")
}

func TestOnlyATokenIsSpent(t *testing.T) {
	for name, test := range map[string]struct {
		data  map[string][]byte
		spent bool
	}{
		"a token":                       {map[string][]byte{tokenKey: []byte(pki.NewToken().Reveal() + "\n")}, true},
		"a Secret of something else":    {map[string][]byte{corev1.TLSPrivateKeyKey: []byte("key")}, false},
		"something else under that key": {map[string][]byte{tokenKey: []byte("password")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "capstan-system", Name: "named", UID: "secret"}, Data: test.data}
			r := reconcilerWith(t, secret)
			s := &scope{host: &capstanv1.HyperVHost{Spec: capstanv1.HyperVHostSpec{EnrolmentTokenSecret: "named"}}, memory: &memory{}}
			g.Expect(r.spendToken(t.Context(), s)).To(Succeed())
			g.Expect(r.isGone(t, secret)).To(Equal(test.spent))
			g.Expect(s.memory.tokenSpent).To(BeTrue())
		})
	}
}
