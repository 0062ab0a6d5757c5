// Package nodepool turns NodePools into MachineDeployments and sums up how they
// are. What the objects look like is decided in internal/translate.
package nodepool

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/translate"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=nodepools,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=nodepools/status;nodepools/finalizers,verbs=get;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=workloadclusters;vmimages,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=machinedeployments;machinehealthchecks,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;machinesets,verbs=get;list;watch
// +kubebuilder:rbac:groups=bootstrap.cluster.x-k8s.io,resources=kubeadmconfigtemplates,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervmachinetemplates,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervmachines,verbs=get;list;watch

// Reconciler reconciles NodePools.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live   client.Reader
	Events events.EventRecorder
	// Patience is how long it may take until something is told that is of no weight.
	Patience *conditions.Patience
	Clock    clock.PassiveClock
	// RolloutQuietPeriod is how long what nodes are made from must have been left
	// alone before they are replaced for it.
	RolloutQuietPeriod time.Duration
	// RolloutLongestHold is after how long they are replaced though it is not left
	// alone.
	RolloutLongestHold time.Duration

	applier *apply.Applier
	writer  *conditions.Writer
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(_ context.Context, mgr ctrl.Manager, options controller.Options) error {
	r.applier = &apply.Applier{Client: r.Client, Live: r.Live}
	r.writer = &conditions.Writer{Client: r.Client, Events: r.Events, Summary: capstanv1.ReadyCondition}
	return ctrl.NewControllerManagedBy(mgr).
		Named("nodepool").
		For(&capstanv1.NodePool{}).
		Owns(&clusterv1.MachineDeployment{}).
		Watches(&infrav1.HyperVMachine{}, handler.EnqueueRequestsFromMapFunc(poolOfLabel), builder.WithPredicates(conditions.ReadyChanged())).
		// A template can go when the last MachineSet that refers to it is gone.
		Watches(&clusterv1.MachineSet{}, handler.EnqueueRequestsFromMapFunc(poolOfLabel),
			builder.WithPredicates(predicate.Or(conditions.OnlyDeletions(), setChanged()))).
		Watches(&capstanv1.WorkloadCluster{}, handler.EnqueueRequestsFromMapFunc(r.poolsOfCluster)).
		// The pools of a Cluster that was deleted wait for it to be gone.
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(r.poolsOfCluster), builder.WithPredicates(conditions.OnlyDeletions())).
		Watches(&capstanv1.VMImage{}, handler.EnqueueRequestsFromMapFunc(r.waitingPools), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

// scope is what one reconcile knows.
type scope struct {
	pool *capstanv1.NodePool
	// cluster is nil while it is not there.
	cluster *capstanv1.WorkloadCluster
	// existing is the MachineDeployment as it was found, or nil.
	existing *clusterv1.MachineDeployment
	version  versionPlan
	// objects are what shall stand for the pool.
	objects    translate.PoolObjects
	deployment *clusterv1.MachineDeployment
	machines   []infrav1.HyperVMachine
	sets       []clusterv1.MachineSet
	// held says that nodes shall be replaced, and that this begins later: at latest if
	// they are edited again.
	held           bool
	begins, latest time.Time
	// after is when to look again.
	after time.Duration
	// left says what a deletion still waits for.
	left string
	// err is why a phase could not be finished.
	err error
}

// Reconcile brings one NodePool towards what its spec says.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, reterr error) {
	pool := &capstanv1.NodePool{}
	if err := r.Client.Get(ctx, req.NamespacedName, pool); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := pool.DeepCopy()
	s := &scope{pool: pool}
	defer func() {
		// That somebody else wrote first is no news: it is read and tried again.
		if apierrors.IsConflict(reterr) {
			return
		}
		setStatus(s)
		reterr = errors.Join(reterr, r.writer.WriteInTime(ctx, r.Patience, before, pool, &result, reterr))
	}()

	if !pool.DeletionTimestamp.IsZero() {
		s.err = r.delete(ctx, s)
		return ctrl.Result{}, conditions.UnlessTold(reasonOf(s.err), s.err)
	}
	for _, phase := range []func(context.Context, *scope) error{
		r.findCluster,
		r.holdWhilePaused,
		r.joinCluster,
		r.findDeployment,
		r.decide,
		r.letFirstNodesThrough,
		r.holdRollout,
		r.reconcileChildren,
		r.keepWithinBounds,
		r.prune,
		r.observe,
	} {
		if s.err = phase(ctx, s); s.err != nil {
			break
		}
	}
	return ctrl.Result{RequeueAfter: s.after}, conditions.UnlessTold(reasonOf(s.err), s.err)
}

func poolOfLabel(_ context.Context, obj client.Object) []reconcile.Request {
	name := obj.GetLabels()[capstanv1.NodePoolLabel]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: obj.GetNamespace(), Name: name}}}
}

func (r *Reconciler) poolsOfCluster(ctx context.Context, obj client.Object) []reconcile.Request {
	return r.pools(ctx, obj.GetNamespace(), func(p *capstanv1.NodePool) bool { return p.Spec.ClusterName == obj.GetName() })
}

// waitingPools are those that a new image may help.
func (r *Reconciler) waitingPools(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.pools(ctx, "", func(p *capstanv1.NodePool) bool { return !conditions.IsCurrentlyTrue(p, capstanv1.ReadyCondition) })
}

func (r *Reconciler) pools(ctx context.Context, namespace string, wanted func(*capstanv1.NodePool) bool) []reconcile.Request {
	list := &capstanv1.NodePoolList{}
	if err := r.Client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if wanted(&list.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}
