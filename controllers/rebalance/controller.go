package rebalance

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/placement"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=workloadclusters,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=workloadclusters/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=virtualmachines;hypervhosts;vmimages;logicalnetworks,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=machines,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervmachines,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// How often a cluster is looked at: hosts and volumes fill up and come back without any
// object of the cluster changing.
const (
	DefaultLook       = 2 * time.Minute
	defaultLookMoving = 10 * time.Second
)

// Reconciler tells of the spread of WorkloadClusters.
type Reconciler struct {
	Client client.Client
	Events events.EventRecorder
	Clock  clock.PassiveClock
	// Placement is how full hosts and volumes may get.
	Placement placement.Policy
	// Look is how often a cluster is looked at. Zero is DefaultLook; one that is being
	// rebalanced is looked at every 10 s, or as often.
	Look time.Duration

	writer *conditions.Writer
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(_ context.Context, mgr ctrl.Manager, options controller.Options) error {
	r.writer = &conditions.Writer{Client: r.Client, Events: r.Events, Summary: capstanv1.RebalancingCondition, Quiet: true}
	if r.Look == 0 {
		r.Look = DefaultLook
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("rebalance").
		For(&capstanv1.WorkloadCluster{}, builder.WithPredicates(predicate.Or(conditions.ReadyChanged(), predicate.AnnotationChangedPredicate{}))).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

// scope is what one reconcile knows.
type scope struct {
	wlc *capstanv1.WorkloadCluster
	// machines are those of the cluster.
	machines []clusterv1.Machine
	// vms are those of machines that have a place, and better is what would be better for
	// those that would have another one today, by their names.
	vms    []capstanv1.VirtualMachine
	better map[string]improvement
	// waits says what the rebalancing waits for, or "".
	waits string
	// held tells that it waits because all repair is held.
	held bool
}

// improvement is where a VM would be today, and from which point of view that is better.
type improvement struct{ host, by string }

// Reconcile looks at one cluster, and has the next machine replaced if that is asked for.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, reterr error) {
	wlc := &capstanv1.WorkloadCluster{}
	if err := r.Client.Get(ctx, req.NamespacedName, wlc); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !wlc.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	_, asked := wlc.Annotations[capstanv1.RebalanceAnnotation]
	// While a cluster is made or mended it is not known yet how it will be spread.
	settled := conditions.IsCurrentlyTrue(wlc, capstanv1.ReadyCondition)
	if !asked && wlc.Status.Rebalance == nil && !settled {
		return ctrl.Result{}, nil
	}
	before := wlc.DeepCopy()
	s := &scope{wlc: wlc}
	defer func() {
		// That somebody else wrote first is no news: it is read and tried again.
		if apierrors.IsConflict(reterr) {
			return
		}
		setStatus(s)
		reterr = errors.Join(reterr, r.writer.Write(ctx, before, wlc))
	}()
	if err := r.observe(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	if settled {
		if err := r.survey(ctx, s); err != nil {
			return ctrl.Result{}, err
		}
	}
	if !asked {
		return ctrl.Result{RequeueAfter: r.Look}, r.stop(ctx, s)
	}
	return ctrl.Result{RequeueAfter: min(defaultLookMoving, r.Look)}, r.proceed(ctx, s, settled)
}

// observe reads the machines of the cluster.
func (r *Reconciler) observe(ctx context.Context, s *scope) error {
	machines := &clusterv1.MachineList{}
	if err := r.Client.List(ctx, machines, client.InNamespace(s.wlc.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: s.wlc.Name}); err != nil {
		return fmt.Errorf("listing Machines: %w", err)
	}
	s.machines = machines.Items
	return nil
}
