package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/cluster-api/util/paused"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/lbplan"
	"github.com/capstan-k8s/capstan/internal/logs"
	"github.com/capstan-k8s/capstan/internal/outage"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/trust"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=loadbalancers,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=loadbalancers/status;loadbalancers/finalizers,verbs=get;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=virtualmachines,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=capstan.dev,resources=addressreservations,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=tombstones;logicalnetworks,verbs=get;list;watch
// +kubebuilder:rbac:groups=ipam.cluster.x-k8s.io,resources=ipaddressclaims,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=ipam.cluster.x-k8s.io,resources=ipaddresses,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;machines,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;delete

// Reconciler reconciles LoadBalancers.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live client.Reader
	// Secrets reads those that have the label of a cluster from the cache, where the
	// manager's client does not; of those that bootstrap a VM it has no data. What is
	// not set is the manager's cache.
	Secrets client.Reader
	Events  events.EventRecorder
	// Patience is how long it may take until something is told that is of no weight.
	Patience *conditions.Patience
	// Manager is who the agents in the VMs recognise.
	Manager *pki.ManagerIdentity
	// Pins are the keys that the agents are recognised by.
	Pins  *trust.Pins
	Clock clock.WithTicker
	// Random returns a random suffix of n characters for the name of a VM.
	Random func(n int) string
	// Timeouts are how long VMs may be of no use. What is zero has its default.
	Timeouts Timeouts
	// Outages tells how long a host must be silent before its VMs are presumed lost, and when
	// none is replaced: for machines as for load balancers.
	Outages *outage.Watch

	applier    *apply.Applier
	writer     *conditions.Writer
	agents     *agents
	departures departures
}

// scope is what one reconcile knows.
type scope struct {
	lb      *capstanv1.LoadBalancer
	cluster *clusterv1.Cluster
	// now is when the reconcile began: what it plans and what it concludes must be of
	// one time.
	now time.Time
	// again is when something wants to be looked at again, or 0.
	again time.Duration
	vip   vip
	// vms are all VMs, those that are being deleted included.
	vms       []capstanv1.VirtualMachine
	instances []*instance
	// machines are the control-plane Machines, and members what a plan makes of them;
	// leaving is since when some of them are known to leave.
	machines []clusterv1.Machine
	members  []lbplan.Machine
	leaving  map[types.UID]time.Time
	hosts    []capstanv1.HyperVHost
	// serviceVIPs are the virtual addresses for Services, and refused what of them is
	// not in the plan.
	serviceVIPs []serviceVIP
	refused     []lbplan.Refusal
	// planned tells that the newest plan is made and numbered.
	planned bool
	// candidates are the VMs with what is to become of them, and made those that
	// were made just now.
	candidates []candidate
	made       []capstanv1.VirtualMachine
	// heldBack tells that no VMs are made, because the network has no VIP for them.
	heldBack bool
	// behind tells that the API server knows more than this reconcile.
	behind bool
	// left says what a deletion still waits for.
	left string
	// err is why a phase could not be finished.
	err error
}

// Reconcile brings one LoadBalancer towards what its spec says.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, reterr error) {
	r.Outages.Begin(r.Clock.Now())
	lb := &capstanv1.LoadBalancer{}
	if err := r.Client.Get(ctx, req.NamespacedName, lb); err != nil {
		if apierrors.IsNotFound(err) {
			r.agents.keepOnly(req.NamespacedName, nil)
			r.departures.note(req.NamespacedName, nil, time.Time{})
			return ctrl.Result{}, r.freeOrphans(ctx, req.NamespacedName)
		}
		return ctrl.Result{}, err
	}
	s := &scope{lb: lb, now: r.Clock.Now()}
	if err := r.findCluster(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	ctx = logs.ForCluster(ctx, lb, lb.Spec.ClusterName)
	if stop, err := r.pause(ctx, s); stop || err != nil {
		return ctrl.Result{}, err
	}
	before := lb.DeepCopy()
	defer func() {
		if s.isStale() {
			return
		}
		setStatus(s, r.Clock.Now())
		reterr = errors.Join(reterr, r.writer.WriteInTime(ctx, r.Patience, before, lb, &result, reterr))
	}()

	if !lb.DeletionTimestamp.IsZero() {
		s.err = r.delete(ctx, s)
		return ctrl.Result{}, conditions.UnlessTold(reasonOf(s.err), s.err)
	}
	if controllerutil.AddFinalizer(lb, capstanv1.LoadBalancerFinalizer) {
		if err := r.Client.Patch(ctx, lb, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			s.err = fmt.Errorf("adding the finalizer to LoadBalancer %s: %w", req, err)
			return ctrl.Result{}, s.err
		}
	}
	// The VMs boot while the VIP is being allocated: neither needs the other yet.
	for _, phase := range []func(context.Context, *scope) error{
		r.reconcileVIP,
		r.reconcileVMs,
		r.reconcileBootstrap,
		r.reconcilePlan,
		r.reconcileReleases,
		r.reconcileSeeds,
	} {
		if s.err = phase(ctx, s); s.err != nil {
			break
		}
	}
	// Nothing that fails above may hold a machine for longer than it has time.
	if err := r.reconcileDepartures(ctx, s); err != nil {
		s.err = errors.Join(s.err, err)
	}
	if s.isStale() {
		return ctrl.Result{RequeueAfter: retryBehind}, nil
	}
	return ctrl.Result{RequeueAfter: s.soonest(r.Clock.Now())}, conditions.UnlessTold(reasonOf(s.err), s.err)
}

// pause tells whether the LoadBalancer or its Cluster is paused. That it never was goes
// with the status.
func (r *Reconciler) pause(ctx context.Context, s *scope) (stop bool, err error) {
	wanted := s.cluster != nil && ptr.Deref(s.cluster.Spec.Paused, false) || annotations.HasPaused(s.lb)
	if !wanted && conditions.Get(s.lb, clusterv1.PausedCondition) == nil {
		return false, nil
	}
	switch isPaused, requeue, err := paused.EnsurePausedCondition(ctx, r.Client, s.cluster, s.lb); {
	case err != nil || requeue:
		return true, err
	case isPaused:
		return true, r.releaseLeaving(ctx, s)
	}
	return false, nil
}

// retryBehind is when a reconcile is tried again whose cache was out of date.
const retryBehind = 100 * time.Millisecond

// isStale tells whether the reconcile worked from what is no longer true: that is read
// and tried again, and is nobody's news.
func (s *scope) isStale() bool { return s.behind || apierrors.IsConflict(s.err) }

// findCluster finds the Cluster, as far as it is there.
func (r *Reconciler) findCluster(ctx context.Context, s *scope) error {
	cluster := &clusterv1.Cluster{}
	key := client.ObjectKey{Namespace: s.lb.Namespace, Name: s.lb.Spec.ClusterName}
	err := r.Client.Get(ctx, key, cluster)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading Cluster %s: %w", key, err)
	}
	s.cluster = cluster
	return nil
}

// soonest is when the first instance wants to be tried again or judged, or 0.
func (s *scope) soonest(now time.Time) time.Duration {
	if at := due(s.candidates, now); at > 0 {
		s.tryAgainIn(at)
	}
	for _, i := range s.instances {
		if i.retry > 0 {
			s.tryAgainIn(i.retry)
		}
	}
	return s.again
}

func (s *scope) tryAgainIn(wait time.Duration) {
	if s.again == 0 || wait < s.again {
		s.again = wait
	}
}
