package ipam

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

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
	for _, add := range []func(*runtime.Scheme) error{capstanv1.AddToScheme, ipamv1.AddToScheme, clusterv1.AddToScheme} {
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

func TestAddressesOfClaimsThatWereTakenAwayByForceComeFree(t *testing.T) {
	reservation := func(name, address, claim string) *capstanv1.AddressReservation {
		return &capstanv1.AddressReservation{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: "1"},
			Spec: capstanv1.AddressReservationSpec{
				LogicalNetwork: "lan", Address: address, ClaimRef: capstanv1.ClaimReference{Namespace: "team", Name: claim, UID: "team/" + claim},
			},
		}
	}
	address := func() *capstanv1.AddressReservation { return reservation("lan-10.20.0.10", "10.20.0.10", "vm-0") }
	for name, c := range map[string]struct {
		held client.Object
		also []client.Object
		free bool
	}{
		"an address":                                 {held: address(), free: true},
		"a virtual router ID":                        {held: reservation("lan-vrid-7", "vrid/7", "shop-vip"), free: true},
		"not one that a claim has":                   {held: address(), also: []client.Object{waiter("team", "vm-0", 1)}},
		"though another claim has the name by now":   {held: address(), also: []client.Object{waiter("team", "vm-0", 1, func(c *ipamv1.IPAddressClaim) { c.UID = "later" })}, free: true},
		"not while the VM is there":                  {held: address(), also: []client.Object{&capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vm"}}}},
		"though a VM of the name is elsewhere":       {held: address(), also: []client.Object{&capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "vm"}}}, free: true},
		"not while the load balancer is there":       {held: reservation("lan-vrid-7", "vrid/7", "shop-vip"), also: []client.Object{&capstanv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}}},
		"not while a Tombstone says the VM may live": {held: address(), also: []client.Object{tombstone("")}},
		"though a Tombstone of it is honoured":       {held: address(), also: []client.Object{tombstone("true")}, free: true},
		"though a host has what is left of the VM":   {held: address(), also: []client.Object{sweptHost(metav1.ConditionFalse, capstanv1.HostOrphan{ID: "1", Owner: "team/vm", Remnant: true})}, free: true},
		"though a host has another VM too many":      {held: address(), also: []client.Object{sweptHost(metav1.ConditionFalse, capstanv1.HostOrphan{ID: "1", Owner: "other/vm"})}, free: true},
		"not while a host has the VM":                {held: address(), also: []client.Object{sweptHost(metav1.ConditionFalse, capstanv1.HostOrphan{ID: "1", Owner: "team/vm"})}},
		"not while a host has whatever VM":           {held: address(), also: []client.Object{sweptHost(metav1.ConditionFalse, capstanv1.HostOrphan{ID: "1"})}},
		"not while a host cannot be swept":           {held: address(), also: []client.Object{sweptHost(metav1.ConditionUnknown)}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			network := testenv.NewLogicalNetwork("lan")
			s := newStore(t, append(c.also, network, c.held)...)
			clock := clocktesting.NewFakePassiveClock(time.Unix(1000, 0))
			told := &testenv.Recorder{}
			r := &NetworkReconciler{Client: s, Live: s, Events: told, Clock: clock, writer: &conditions.Writer{Client: s, Summary: capstanv1.ReadyCondition}}
			look := func() ctrl.Result {
				result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: "lan"}})
				g.Expect(err).NotTo(HaveOccurred())
				return result
			}
			look()
			clock.SetTime(clock.Now().Add(abandonedGrace - time.Second))
			again := look().RequeueAfter
			g.Expect(s.reservations(t)).To(HaveLen(1), "whoever takes a claim away may be about to take the VM, too")
			clock.SetTime(clock.Now().Add(time.Second))
			look()
			if !c.free {
				g.Expect(s.reservations(t)).To(HaveLen(1))
				g.Expect(told.Of(network.UID)).To(BeEmpty())
				return
			}
			g.Expect(again).To(Equal(time.Second))
			g.Expect(s.reservations(t)).To(BeEmpty())
			g.Expect(told.Reasons(network.UID)).To(ConsistOf("AbandonedAddressFreed"))
		})
	}
}

// sweptHost has told of the VMs it has without an object, or could not.
func sweptHost(free metav1.ConditionStatus, orphans ...capstanv1.HostOrphan) *capstanv1.HyperVHost {
	h := testenv.NewHyperVHost("hv1")
	h.Status.Memory, h.Status.Orphans = resource.NewQuantity(64<<30, resource.BinarySI), orphans
	h.Status.Conditions = []metav1.Condition{{Type: capstanv1.FreeOfOrphansCondition, Status: free, Reason: "Swept"}}
	return h
}

func tombstone(honoured string) *capstanv1.Tombstone {
	t := &capstanv1.Tombstone{ObjectMeta: metav1.ObjectMeta{Name: "tomb"}}
	if honoured != "" {
		t.Annotations = map[string]string{capstanv1.HonouredAnnotation: honoured}
	}
	t.Spec.Addresses = []capstanv1.ReservedAddress{{LogicalNetwork: "lan", Address: "10.20.0.10"}}
	return t
}
