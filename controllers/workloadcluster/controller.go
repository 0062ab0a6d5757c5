// Package workloadcluster turns WorkloadClusters into Cluster API objects and
// sums up how they are. What the objects look like is decided in
// internal/translate; how they live is Cluster API's business.
package workloadcluster

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
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

// +kubebuilder:rbac:groups=capstan.dev,resources=workloadclusters,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=workloadclusters/status;workloadclusters/finalizers,verbs=get;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=nodepools;vmimages,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;machinehealthchecks,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=machines,verbs=get;list;watch
// +kubebuilder:rbac:groups=controlplane.cluster.x-k8s.io,resources=kubeadmcontrolplanes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervclusters;hypervmachinetemplates,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervmachines,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler reconciles WorkloadClusters.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live   client.Reader
	Events events.EventRecorder
	// Patience is how long it may take until something is told that is of no weight.
	Patience *conditions.Patience

	applier *apply.Applier
	writer  *conditions.Writer
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(_ context.Context, mgr ctrl.Manager, options controller.Options) error {
	r.applier = &apply.Applier{Client: r.Client, Live: r.Live}
	r.writer = &conditions.Writer{Client: r.Client, Events: r.Events, Summary: capstanv1.ReadyCondition}
	byLabel := handler.EnqueueRequestsFromMapFunc(clusterOfLabel)
	return ctrl.NewControllerManagedBy(mgr).
		Named("workloadcluster").
		For(&capstanv1.WorkloadCluster{}).
		Owns(&clusterv1.Cluster{}).
		Owns(&clusterv1.MachineHealthCheck{}, builder.WithPredicates(conditions.OnlyDeletions())).
		Watches(&controlplanev1.KubeadmControlPlane{}, byLabel).
		Watches(&infrav1.HyperVCluster{}, byLabel).
		Watches(&infrav1.HyperVMachine{}, byLabel, builder.WithPredicates(conditions.ReadyChanged())).
		Watches(&capstanv1.NodePool{}, handler.EnqueueRequestsFromMapFunc(clusterOfPool)).
		Watches(&capstanv1.VMImage{}, handler.EnqueueRequestsFromMapFunc(r.waitingClusters), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

// scope is what one reconcile knows.
type scope struct {
	wlc          *capstanv1.WorkloadCluster
	cluster      *clusterv1.Cluster
	infra        *infrav1.HyperVCluster
	controlPlane *controlplanev1.KubeadmControlPlane
	version      versionPlan
	// machines are known only as long as something is waited for.
	machines      []clusterv1.Machine
	infraMachines []infrav1.HyperVMachine
	pools         []capstanv1.NodePool
	// left says what a deletion still waits for.
	left string
	// err is why a phase could not be finished.
	err error
}

// Reconcile brings one WorkloadCluster towards what its spec says.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, reterr error) {
	wlc := &capstanv1.WorkloadCluster{}
	if err := r.Client.Get(ctx, req.NamespacedName, wlc); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := wlc.DeepCopy()
	s := &scope{wlc: wlc}
	defer func() {
		// That somebody else wrote first is no news: it is read and tried again.
		if apierrors.IsConflict(reterr) {
			return
		}
		setStatus(s)
		reterr = errors.Join(reterr, r.writer.WriteInTime(ctx, r.Patience, before, wlc, &result, reterr))
	}()

	if !wlc.DeletionTimestamp.IsZero() {
		s.err = r.delete(ctx, s)
		return ctrl.Result{}, conditions.UnlessTold(reasonOf(s.err), s.err)
	}
	if controllerutil.AddFinalizer(wlc, capstanv1.WorkloadClusterFinalizer) {
		if err := r.Client.Patch(ctx, wlc, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			s.err = fmt.Errorf("adding the finalizer to WorkloadCluster %s: %w", req, err)
			return ctrl.Result{}, s.err
		}
	}
	for _, phase := range []func(context.Context, *scope) error{
		r.reconcileOwnership,
		r.holdWhilePaused,
		r.decideVersion,
		r.reconcileChildren,
		r.pruneTemplates,
		r.observe,
	} {
		if s.err = phase(ctx, s); s.err != nil {
			break
		}
	}
	return ctrl.Result{}, conditions.UnlessTold(reasonOf(s.err), s.err)
}

func clusterOfLabel(_ context.Context, obj client.Object) []reconcile.Request {
	name := obj.GetLabels()[capstanv1.WorkloadClusterLabel]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: obj.GetNamespace(), Name: name}}}
}

func clusterOfPool(_ context.Context, obj client.Object) []reconcile.Request {
	pool, ok := obj.(*capstanv1.NodePool)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: pool.Namespace, Name: pool.Spec.ClusterName}}}
}

// waitingClusters are those that a new image may help.
func (r *Reconciler) waitingClusters(ctx context.Context, _ client.Object) []reconcile.Request {
	list := &capstanv1.WorkloadClusterList{}
	if err := r.Client.List(ctx, list); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if !conditions.IsCurrentlyTrue(&list.Items[i], capstanv1.ReadyCondition) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}
