// Package ipam answers Cluster API's IPAddressClaims from LogicalNetworks. An
// address is given out by making an AddressReservation named after it, so that
// the API server itself rules out giving it twice.
//
// Source: Cluster API book, contract rules for IPAM.
package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// +kubebuilder:rbac:groups=ipam.cluster.x-k8s.io,resources=ipaddressclaims,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=ipam.cluster.x-k8s.io,resources=ipaddressclaims/status;ipaddressclaims/finalizers,verbs=get;update;patch
// +kubebuilder:rbac:groups=ipam.cluster.x-k8s.io,resources=ipaddresses,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters,verbs=get;list;watch
// +kubebuilder:rbac:groups=capstan.dev,resources=logicalnetworks/finalizers,verbs=update
// +kubebuilder:rbac:groups=capstan.dev,resources=addressreservations,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=capstan.dev,resources=logicalnetworks;tombstones,verbs=get;list;watch
// +kubebuilder:rbac:groups=capstan.dev,resources=logicalnetworks/status,verbs=get;update;patch

// ClaimReconciler reconciles the IPAddressClaims of LogicalNetworks.
type ClaimReconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live   client.Reader
	Events events.EventRecorder

	writer *conditions.Writer
	recent recent
}

// SetupWithManager adds the controller to a manager.
func (r *ClaimReconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	r.writer = &conditions.Writer{Client: r.Client, Events: r.Events, Summary: capstanv1.ReadyCondition, Quiet: true}
	if err := index(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("ipaddressclaim").
		For(&ipamv1.IPAddressClaim{}, builder.WithPredicates(predicate.NewPredicateFuncs(func(obj client.Object) bool {
			claim, ok := obj.(*ipamv1.IPAddressClaim)
			return ok && isWatched(claim)
		}))).
		// One that appears is the work of whoever looks at its claim just then, and a second
		// look before the cache shows what the first one wrote would write it in vain.
		Owns(&ipamv1.IPAddress{}, builder.WithPredicates(predicate.Funcs{CreateFunc: func(event.CreateEvent) bool { return false }})).
		Watches(&capstanv1.LogicalNetwork{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
			return r.waiting(ctx, obj.GetName())
		}), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&capstanv1.AddressReservation{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
			reservation, ok := obj.(*capstanv1.AddressReservation)
			if !ok {
				return nil
			}
			if address, err := netip.ParseAddr(reservation.Spec.Address); err == nil {
				r.recent.drop(reservation.Spec.LogicalNetwork, address, types.UID(reservation.Spec.ClaimRef.UID))
			}
			// The claim itself comes first: it may be there still, and need it back.
			holder := reservation.Spec.ClaimRef
			return append([]reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: holder.Namespace, Name: holder.Name}}},
				r.next(ctx, reservation.Spec.LogicalNetwork)...)
		}), builder.WithPredicates(conditions.OnlyDeletions())).
		Watches(&ipamv1.IPAddressClaim{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
			claim, ok := obj.(*ipamv1.IPAddressClaim)
			if !ok {
				return nil
			}
			return r.next(ctx, claim.Spec.PoolRef.Name)
		}), builder.WithPredicates(leftTheLine())).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(r.ofCluster),
			builder.WithPredicates(predicates.ClusterPausedTransitions(mgr.GetScheme(), mgr.GetLogger()))).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

func isOurs(claim *ipamv1.IPAddressClaim) bool {
	return !IsForeign(claim.Spec.PoolRef)
}

// waiting are the claims of a network that have no address yet.
func (r *ClaimReconciler) waiting(ctx context.Context, network string) []reconcile.Request {
	claims := &ipamv1.IPAddressClaimList{}
	if err := r.Client.List(ctx, claims, client.MatchingFields{waitingIndex: network}); err != nil {
		return nil
	}
	requests := make([]reconcile.Request, 0, len(claims.Items))
	for i := range claims.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&claims.Items[i])})
	}
	return requests
}

// Reconcile gives one claim its address, or takes it back.
func (r *ClaimReconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, reterr error) {
	claim := &ipamv1.IPAddressClaim{}
	if err := r.Client.Get(ctx, req.NamespacedName, claim); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	// An IPAddress brings the claim that controls it here, whoever's that is.
	if !isWatched(claim) {
		return ctrl.Result{}, nil
	}
	if paused, err := r.paused(ctx, claim); err != nil || paused {
		return ctrl.Result{}, err
	}
	before := claim.DeepCopy()
	if !claim.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, r.release(ctx, claim)
	}
	if !isOurs(claim) {
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(claim, capstanv1.IPAddressClaimFinalizer) {
		if err := r.Client.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer to IPAddressClaim %s: %w", req, err)
		}
	}
	address, err := r.allocate(ctx, claim)
	// That somebody else wrote first is no news: it is read and tried again.
	if apierrors.IsConflict(err) {
		return ctrl.Result{}, err
	}
	setStatus(claim, address, err)
	read := claim.ResourceVersion
	err = errors.Join(conditions.UnlessTold(reasonOf(err), err), r.writer.Write(ctx, before, claim))
	if before.Status.AddressRef.Name != claim.Status.AddressRef.Name && claim.ResourceVersion == read {
		err = errors.Join(err, r.freeIfGone(ctx, claim))
	}
	return ctrl.Result{}, err
}

// paused tells whether the claim, or its Cluster, is paused. A Cluster that is not
// there pauses nothing: the addresses of a deleted one must still come free.
func (r *ClaimReconciler) paused(ctx context.Context, claim *ipamv1.IPAddressClaim) (bool, error) {
	if annotations.HasPaused(claim) || claim.Spec.ClusterName == "" {
		return annotations.HasPaused(claim), nil
	}
	cluster := &clusterv1.Cluster{}
	key := client.ObjectKey{Namespace: claim.Namespace, Name: claim.Spec.ClusterName}
	err := r.Client.Get(ctx, key, cluster)
	if apierrors.IsNotFound(err) {
		// One that was made together with its claims may not be in the cache yet.
		err = r.Live.Get(ctx, key, cluster)
	}
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading Cluster %s: %w", key, err)
	}
	return annotations.IsPaused(cluster, cluster), nil
}

// ofCluster are the claims of a Cluster that was paused or is again at work, and those
// behind them in line, who get what is not for them.
func (r *ClaimReconciler) ofCluster(ctx context.Context, cluster client.Object) []reconcile.Request {
	claims := &ipamv1.IPAddressClaimList{}
	if err := r.Client.List(ctx, claims, client.InNamespace(cluster.GetNamespace())); err != nil {
		return nil
	}
	var requests []reconcile.Request
	waited := map[string]bool{}
	for i := range claims.Items {
		claim := &claims.Items[i]
		if !isOurs(claim) || claim.Spec.ClusterName != cluster.GetName() {
			continue
		}
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(claim)})
		if network := claim.Spec.PoolRef.Name; isInLine(claim) && !waited[network] {
			waited[network] = true
			requests = append(requests, r.next(ctx, network)...)
		}
	}
	return requests
}
