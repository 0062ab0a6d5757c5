package ipam

import (
	"context"
	"errors"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// store is an API server that a manager can die at.
type store struct {
	client.WithWatch
	// dies is the write that the manager dies at, counted from 1, and done whether that
	// write was carried out; writes is how many there were.
	dies, writes int
	done         bool
}

var errDead = errors.New("the manager is dead")

func newStore(t *testing.T, objects ...client.Object) *store {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{capstanv1.AddToScheme, infrav1.AddToScheme, ipamv1.AddToScheme, clusterv1.AddToScheme} {
		NewWithT(t).Expect(add(scheme)).To(Succeed())
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&ipamv1.IPAddressClaim{}, &capstanv1.LogicalNetwork{})
	for _, i := range indices {
		builder = builder.WithIndex(i.kind, i.field, i.value)
	}
	return &store{WithWatch: builder.Build()}
}

// write carries a write out, unless the manager dies before.
func (s *store) write(do func() error) error {
	s.writes++
	if s.dies != 0 && s.writes >= s.dies {
		if s.writes == s.dies && s.done {
			_ = do()
		}
		return errDead
	}
	return do()
}

// mortal returns the client of a manager that dies at a write.
func (s *store) mortal() client.Client {
	return interceptor.NewClient(s.WithWatch, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			return s.write(func() error { return c.Create(ctx, obj, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return s.write(func() error { return c.Patch(ctx, obj, patch, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			return s.write(func() error { return c.Delete(ctx, obj, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return s.write(func() error { return c.SubResource(name).Patch(ctx, obj, patch, opts...) })
		},
	})
}

// manager returns what a manager that starts now begins with: no memory.
func (s *store) manager(c client.Client) *ClaimReconciler {
	return &ClaimReconciler{Client: c, Live: s.WithWatch, writer: &conditions.Writer{Client: c, Summary: capstanv1.ReadyCondition}}
}

func (s *store) reservations(t *testing.T) []string {
	t.Helper()
	list := &capstanv1.AddressReservationList{}
	NewWithT(t).Expect(s.List(t.Context(), list)).To(Succeed())
	names := []string{}
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

func (s *store) addresses(t *testing.T) int {
	t.Helper()
	list := &ipamv1.IPAddressList{}
	NewWithT(t).Expect(s.List(t.Context(), list)).To(Succeed())
	return len(list.Items)
}

// settle has a manager look at a claim until it has no more to do.
func settle(t *testing.T, r *ClaimReconciler, request ctrl.Request) {
	t.Helper()
	for range 10 {
		if _, err := r.Reconcile(t.Context(), request); err != nil && !apierrors.IsConflict(err) {
			t.Fatalf("a manager that lives: %v", err)
		}
	}
}

func TestAddressesLeaked(t *testing.T) {
	request := ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "team", Name: "vm-0"}}
	world := func(t *testing.T) (*store, *ipamv1.IPAddressClaim) {
		t.Helper()
		return newStore(t, testenv.NewLogicalNetwork("lan")), waiter("team", "vm-0", 1)
	}
	s, claim := world(t)
	NewWithT(t).Expect(s.Create(t.Context(), claim)).To(Succeed())
	settle(t, s.manager(s.mortal()), request)
	toAnswer := s.writes
	NewWithT(t).Expect(s.Delete(t.Context(), claim)).To(Succeed())
	settle(t, s.manager(s.mortal()), request)
	toRelease := s.writes
	NewWithT(t).Expect(toAnswer).To(Equal(4), "finalizer, reservation, address, status")
	NewWithT(t).Expect(toRelease).To(Equal(7), "address, reservation, finalizer")

	for _, done := range []bool{false, true} {
		for at := 1; at <= toRelease; at++ {
			t.Run(fmt.Sprintf("none by a manager that dies at write %d, carried out: %v", at, done), func(t *testing.T) {
				g := NewWithT(t)
				s, claim := world(t)
				s.dies, s.done = at, done
				g.Expect(s.Create(t.Context(), claim)).To(Succeed())
				dying := s.manager(s.mortal())
				_, _ = dying.Reconcile(t.Context(), request)
				if at > toAnswer {
					g.Expect(s.Delete(t.Context(), claim)).To(Succeed())
					_, _ = dying.Reconcile(t.Context(), request)
				}
				g.Expect(s.writes).To(BeNumerically(">=", at), "it has died")

				if at <= toAnswer {
					g.Expect(s.Delete(t.Context(), claim)).To(Succeed())
				}
				settle(t, s.manager(s.WithWatch), request)
				g.Expect(apierrors.IsNotFound(s.Get(t.Context(), request.NamespacedName, claim))).To(BeTrue())
				g.Expect(s.reservations(t)).To(BeEmpty())
				g.Expect(s.addresses(t)).To(BeZero())
			})
		}
	}

	t.Run("none by a manager that believes the claim is still there", func(t *testing.T) {
		g := NewWithT(t)
		s, claim := world(t)
		claim.Finalizers = []string{capstanv1.IPAddressClaimFinalizer}
		claim.ResourceVersion = "1"
		cached := interceptor.NewClient(s.WithWatch, interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
				if into, ok := obj.(*ipamv1.IPAddressClaim); ok {
					claim.DeepCopyInto(into)
					return nil
				}
				return c.Get(ctx, key, obj, opts...)
			},
		})
		_, err := s.manager(cached).Reconcile(t.Context(), request)
		g.Expect(client.IgnoreNotFound(err)).NotTo(HaveOccurred())
		g.Expect(s.reservations(t)).To(BeEmpty())
	})
}

func TestWhatAnEarlierClaimOfItsNameLeftBehindIsInNoClaimsWay(t *testing.T) {
	request := ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "team", Name: "vm-0"}}
	network := testenv.NewLogicalNetwork("lan", func(n *capstanv1.LogicalNetwork) { n.UID = "lan" })
	ofNetwork := metav1.OwnerReference{APIVersion: capstanv1.GroupVersion.String(), Kind: "LogicalNetwork", Name: "lan", UID: "lan"}
	ofEarlier := metav1.OwnerReference{APIVersion: ipamv1.GroupVersion.String(), Kind: "IPAddressClaim", Name: "vm-0", UID: "earlier", Controller: ptr.To(true)}
	for name, c := range map[string]struct {
		owners []metav1.OwnerReference
		change func(*ipamv1.IPAddress)
		stays  bool
	}{
		"the collector took its claim from its owners": {owners: []metav1.OwnerReference{ofNetwork}},
		"the collector has not come by yet":            {owners: []metav1.OwnerReference{ofEarlier, ofNetwork}},
		"but not what is of no network of ours":        {owners: []metav1.OwnerReference{ofEarlier}, stays: true},
		"but not what was made for another claim":      {owners: []metav1.OwnerReference{ofNetwork}, change: func(a *ipamv1.IPAddress) { a.Spec.ClaimRef.Name = "x" }, stays: true},
		"but not what somebody holds":                  {owners: []metav1.OwnerReference{ofNetwork}, change: func(a *ipamv1.IPAddress) { a.Finalizers = []string{"example.org/held"} }, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			left := &ipamv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vm-0", OwnerReferences: c.owners}}
			left.Spec = ipamv1.IPAddressSpec{ClaimRef: ipamv1.IPAddressClaimReference{Name: "vm-0"}, Address: "10.20.0.33"}
			if c.change != nil {
				c.change(left)
			}
			claim := waiter("team", "vm-0", 1)
			s := newStore(t, network, left, claim)
			r := s.manager(s.WithWatch)
			for range 3 {
				_, _ = r.Reconcile(t.Context(), request)
			}
			g.Expect(s.Get(t.Context(), request.NamespacedName, claim)).To(Succeed())
			g.Expect(s.Get(t.Context(), request.NamespacedName, left)).To(Succeed())
			if c.stays {
				g.Expect(left.Spec.Address).To(Equal("10.20.0.33"))
				g.Expect(conditions.Get(claim, capstanv1.ReadyCondition)).To(HaveField("Message", ContainSubstring("exists for another claim: waiting for it to go")))
				return
			}
			g.Expect(claim.Status.AddressRef.Name).To(Equal("vm-0"))
			g.Expect(metav1.IsControlledBy(left, claim)).To(BeTrue())
			g.Expect(left.Spec.Address).To(Equal("10.20.0.10"))
		})
	}

	t.Run("unless the claim is that of a cache that is behind", func(t *testing.T) {
		g := NewWithT(t)
		later := waiter("team", "vm-0", 2, func(c *ipamv1.IPAddressClaim) { c.UID = "later" })
		its := &ipamv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vm-0", OwnerReferences: []metav1.OwnerReference{ofNetwork}}}
		its.Spec = ipamv1.IPAddressSpec{ClaimRef: ipamv1.IPAddressClaimReference{Name: "vm-0"}, Address: "10.20.0.33"}
		s := newStore(t, network, its, later)
		cleared, err := s.manager(s.WithWatch).clearLeft(t.Context(), waiter("team", "vm-0", 1), network, its)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(cleared).To(BeFalse())
		g.Expect(s.addresses(t)).To(Equal(1))
	})
}
