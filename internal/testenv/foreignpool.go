package testenv

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// ForeignGroup and ForeignKind are of the pools of a ForeignProvider.
const (
	ForeignGroup = "ipam.example.org"
	ForeignKind  = "OtherPool"
)

// foreignFinalizer is what a ForeignProvider holds claims by.
const foreignFinalizer = "example.org/address"

// ForeignProvider stands in for another provider of Cluster API's IPAM contract. It
// names its IPAddresses as it likes, knows nothing of Capstan, and frees an address as
// soon as its claim is being deleted.
type ForeignProvider struct {
	Client client.Client
	// First is the first address that it gives out, with the prefix that guests are
	// told, and Gateway their router.
	First   netip.Prefix
	Gateway netip.Addr

	mu    sync.Mutex
	given map[types.UID]netip.Addr
}

// ForeignPool is a reference to a pool of a ForeignProvider.
func ForeignPool(name string) *capstanv1.PoolReference {
	return &capstanv1.PoolReference{APIGroup: ForeignGroup, Kind: ForeignKind, Name: name}
}

// SetupWithManager adds the provider to a manager.
func (p *ForeignProvider) SetupWithManager(_ context.Context, mgr manager.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named("foreignprovider").For(&ipamv1.IPAddressClaim{}).WithOptions(options).Complete(p)
}

// Reconcile answers one claim.
func (p *ForeignProvider) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	claim := &ipamv1.IPAddressClaim{}
	if err := p.Client.Get(ctx, req.NamespacedName, claim); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if pool := claim.Spec.PoolRef; pool.APIGroup != ForeignGroup || pool.Kind != ForeignKind {
		return ctrl.Result{}, nil
	}
	before := claim.DeepCopy()
	if !claim.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, p.release(ctx, before, claim)
	}
	if controllerutil.AddFinalizer(claim, foreignFinalizer) {
		return ctrl.Result{}, p.Client.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	}
	address := &ipamv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Namespace: claim.Namespace, Name: "given-to-" + claim.Name},
		Spec: ipamv1.IPAddressSpec{
			ClaimRef: ipamv1.IPAddressClaimReference{Name: claim.Name}, PoolRef: claim.Spec.PoolRef,
			Address: p.give(claim.UID).String(), Prefix: ptr.To(int32(p.First.Bits())), Gateway: p.Gateway.String(),
		},
	}
	if err := controllerutil.SetControllerReference(claim, address, p.Client.Scheme()); err != nil {
		return ctrl.Result{}, err
	}
	if err := p.Client.Create(ctx, address); client.IgnoreAlreadyExists(err) != nil {
		return ctrl.Result{}, fmt.Errorf("giving out an address: %w", err)
	}
	claim.Status.AddressRef.Name = address.Name
	return ctrl.Result{}, p.Client.Status().Patch(ctx, claim, client.MergeFrom(before))
}

func (p *ForeignProvider) release(ctx context.Context, before, claim *ipamv1.IPAddressClaim) error {
	if !controllerutil.RemoveFinalizer(claim, foreignFinalizer) {
		return nil
	}
	address := &ipamv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Namespace: claim.Namespace, Name: "given-to-" + claim.Name}}
	if err := p.Client.Delete(ctx, address); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("freeing an address: %w", err)
	}
	p.mu.Lock()
	delete(p.given, claim.UID)
	p.mu.Unlock()
	return client.IgnoreNotFound(p.Client.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})))
}

// give returns the address of a claim, the lowest that nobody has if it has none.
func (p *ForeignProvider) give(claim types.UID) netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	if address, ok := p.given[claim]; ok {
		return address
	}
	if p.given == nil {
		p.given = map[types.UID]netip.Addr{}
	}
	taken := map[netip.Addr]bool{}
	for _, address := range p.given {
		taken[address] = true
	}
	address := p.First.Addr()
	for taken[address] {
		address = address.Next()
	}
	p.given[claim] = address
	return address
}
