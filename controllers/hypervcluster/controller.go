// Package hypervcluster fulfils Cluster API's InfraCluster contract: it makes
// the LoadBalancer, publishes its VIP as the control-plane endpoint and tells
// the failure domains of the hosts.
//
// Source: Cluster API book, contract rules for InfraCluster.
package hypervcluster

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/cluster-api/util/paused"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervclusters,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervclusters/status;hypervclusters/finalizers,verbs=get;update;patch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervclustertemplates,verbs=get;list;watch
// +kubebuilder:rbac:groups=capstan.dev,resources=loadbalancers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters,verbs=get;list;watch

// Reconciler reconciles HyperVClusters.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live   client.Reader
	Events events.EventRecorder
	// Patience is how long it may take until something is told that is of no weight.
	Patience *conditions.Patience
	// Clock is the real one if it is not set.
	Clock clock.PassiveClock

	applier *apply.Applier
	writer  *conditions.Writer
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	if r.Clock == nil {
		r.Clock = clock.RealClock{}
	}
	r.applier = &apply.Applier{Client: r.Client, Live: r.Live}
	r.writer = &conditions.Writer{Client: r.Client, Events: r.Events, Summary: capstanv1.ReadyCondition, Quiet: true}
	toInfra := util.ClusterToInfrastructureMapFunc(ctx, infrav1.GroupVersion.WithKind("HyperVCluster"), r.Client, &infrav1.HyperVCluster{})
	return ctrl.NewControllerManagedBy(mgr).
		Named("hypervcluster").
		For(&infrav1.HyperVCluster{}).
		Owns(&capstanv1.LoadBalancer{}).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(toInfra), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&capstanv1.HyperVHost{}, handler.EnqueueRequestsFromMapFunc(r.all), builder.WithPredicates(domainChanged())).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

// scope is what one reconcile knows.
type scope struct {
	infra        *infrav1.HyperVCluster
	cluster      *clusterv1.Cluster
	loadBalancer *capstanv1.LoadBalancer
	domains      []clusterv1.FailureDomain
	// left says what a deletion still waits for.
	left string
	// err is why a phase could not be finished.
	err error
}

// Reconcile brings one HyperVCluster towards what its spec says.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, reterr error) {
	infra := &infrav1.HyperVCluster{}
	if err := r.Client.Get(ctx, req.NamespacedName, infra); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	// Somebody else looks after it, its status included.
	if annotations.IsExternallyManaged(infra) {
		return ctrl.Result{}, nil
	}
	cluster, err := util.GetOwnerCluster(ctx, r.Client, infra.ObjectMeta)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("reading the Cluster of HyperVCluster %s: %w", req, err)
	}
	// That it never was paused goes with the status.
	if conditions.Get(infra, clusterv1.PausedCondition) != nil || annotations.HasPaused(infra) || cluster != nil && ptr.Deref(cluster.Spec.Paused, false) {
		if isPaused, requeue, err := paused.EnsurePausedCondition(ctx, r.Client, cluster, infra); err != nil || isPaused || requeue {
			return ctrl.Result{}, err
		}
	}
	before := infra.DeepCopy()
	s := &scope{infra: infra, cluster: cluster}
	defer func() {
		// That somebody else wrote first is no news: it is read and tried again.
		if apierrors.IsConflict(reterr) {
			return
		}
		now := r.Clock.Now()
		setStatus(s, now)
		result.RequeueAfter = nextLook(s, now)
		reterr = errors.Join(reterr, r.writer.WriteInTime(ctx, r.Patience, before, infra, &result, reterr))
	}()

	if !infra.DeletionTimestamp.IsZero() {
		s.err = r.delete(ctx, s)
		return ctrl.Result{}, conditions.UnlessTold(reasonOf(s.err), s.err)
	}
	if cluster == nil {
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(infra, infrav1.HyperVClusterFinalizer) {
		if err := r.Client.Patch(ctx, infra, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			s.err = fmt.Errorf("adding the finalizer to HyperVCluster %s: %w", req, err)
			return ctrl.Result{}, s.err
		}
	}
	for _, phase := range []func(context.Context, *scope) error{
		r.reconcileFailureDomains,
		r.reconcileLoadBalancer,
		r.reconcileEndpoint,
	} {
		if s.err = phase(ctx, s); s.err != nil {
			break
		}
	}
	return ctrl.Result{}, conditions.UnlessTold(reasonOf(s.err), s.err)
}

// all returns every HyperVCluster: failure domains are those of the hosts.
func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	list := &infrav1.HyperVClusterList{}
	if err := r.Client.List(ctx, list); err != nil {
		return nil
	}
	requests := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}
