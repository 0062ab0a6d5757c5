package hypervmachine

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/paused"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/logs"
	"github.com/capstan-k8s/capstan/internal/outage"
	"github.com/capstan-k8s/capstan/internal/placement"
)

// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervmachines,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervmachines/status;hypervmachines/finalizers,verbs=get;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=virtualmachines,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;machines,verbs=get;list;watch

// Reconciler reconciles HyperVMachines.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live   client.Reader
	Events events.EventRecorder
	// Patience is how long it may take until something is told that is of no weight.
	Patience *conditions.Patience
	Clock    clock.PassiveClock
	// Placement is how full hosts and volumes may get.
	Placement placement.Policy
	// Outages tells how long something must be wrong before a machine is replaced for it,
	// and when none is.
	Outages *outage.Watch

	applier *apply.Applier
	writer  *conditions.Writer
	// asking is held while it is decided whose turn it is to be replaced.
	asking sync.Mutex
}

// scope is what one reconcile knows.
type scope struct {
	infra   *infrav1.HyperVMachine
	machine *clusterv1.Machine
	cluster *clusterv1.Cluster
	vm      *capstanv1.VirtualMachine
	// wait is what the machine waits for before it can have a VM.
	wait *wait
	// evidence is by what it is judged, once that is put together.
	evidence *evidence
	// judged tells whether it is known if the machine must be replaced, which it must for
	// the cause if there is one.
	judged bool
	cause  *cause
	// held is what keeps the machine from being replaced, whoever finds that it must be.
	held *outage.Hold
	// repair is how it stands with the replacement of the machine, if it has a cause.
	repair *repair
	// replacement is how it stands with a replacement that somebody wants.
	replacement *replacement
	// left says what a deletion still waits for, and silence that it waits for hosts that do
	// not answer.
	left, silence string
	// again is when to look at the machine again, whatever else is due.
	again time.Duration
	// err is why a phase could not be finished.
	err error
}

// wait is a reason with its message.
type wait struct{ reason, message string }

// Reconcile brings one HyperVMachine towards what its spec says.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, reterr error) {
	r.Outages.Begin(r.Clock.Now())
	infra := &infrav1.HyperVMachine{}
	if err := r.Client.Get(ctx, req.NamespacedName, infra); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	s := &scope{infra: infra}
	if err := r.findOwners(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	ctx = logs.ForVM(ctx, infra, identity(infra), infra.Labels[clusterv1.ClusterNameLabel])
	if wasToldOfPause(infra) || isPaused(s) {
		if isPaused, requeue, err := paused.EnsurePausedCondition(ctx, r.Client, s.cluster, infra); err != nil || isPaused || requeue {
			return ctrl.Result{}, err
		}
	}
	before := infra.DeepCopy()
	defer func() {
		// That somebody else wrote first is no news: it is read and tried again.
		if apierrors.IsConflict(reterr) {
			return
		}
		setStatus(s, r.Clock.Now())
		err := r.writer.WriteInTime(ctx, r.Patience, before, infra, &result, reterr)
		// What is held back for now is told of when it is written.
		if err == nil && infra.ResourceVersion != before.ResourceVersion {
			r.tellHurdle(s, conditions.Get(before, capstanv1.ReplacingCondition))
		}
		reterr = errors.Join(reterr, err)
	}()

	if !infra.DeletionTimestamp.IsZero() {
		s.err = r.delete(ctx, s)
		return ctrl.Result{RequeueAfter: s.again}, conditions.UnlessTold(reasonOf(s.err), s.err)
	}
	if s.wait = waitsFor(s); s.wait != nil {
		return ctrl.Result{}, nil
	}
	for _, phase := range []func(context.Context, *scope) error{
		r.identify,
		r.reconcileVirtualMachine,
		r.reconcileRepair,
		r.reconcileReplacement,
	} {
		if s.err = phase(ctx, s); s.err != nil {
			break
		}
	}
	if errors.Is(s.err, errVMGone) {
		if err := r.repairGone(ctx, s); err != nil {
			s.err = err
		}
	}
	return ctrl.Result{RequeueAfter: nextLook(s, r.Clock.Now())}, conditions.UnlessTold(reasonOf(s.err), s.err)
}
