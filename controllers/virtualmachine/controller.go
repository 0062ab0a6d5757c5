package virtualmachine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/logs"
	"github.com/capstan-k8s/capstan/internal/metrics"
	"github.com/capstan-k8s/capstan/internal/placement"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=virtualmachines,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=virtualmachines/status;virtualmachines/finalizers,verbs=get;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts;logicalnetworks;vmimages,verbs=get;list;watch
// +kubebuilder:rbac:groups=capstan.dev,resources=addressreservations,verbs=get;list;watch
// +kubebuilder:rbac:groups=capstan.dev,resources=tombstones,verbs=get;list;watch;create
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters,verbs=get;list;watch
// +kubebuilder:rbac:groups=ipam.cluster.x-k8s.io,resources=ipaddressclaims,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=ipam.cluster.x-k8s.io,resources=ipaddresses,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Hosts reaches the agents of hosts.
type Hosts interface {
	// Agent returns the agent of a host. It does not wait for it to answer.
	Agent(ctx context.Context, host *capstanv1.HyperVHost) (hostapi.Agent, error)
	// ObservedAt returns when the inventory was asked for that a host's status
	// shows, or zero if that is not known.
	ObservedAt(host string) time.Time
}

// Reconciler reconciles VirtualMachines.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live   client.Reader
	Events events.EventRecorder
	// Patience is how long it may take until something is told that is of no weight.
	Patience *conditions.Patience
	Hosts    Hosts
	// Census asks all hosts for a VM that its own does not have any more. Nil is one of its
	// own.
	Census *census.Taker
	// HostLossTimeout is how long a host that does not answer is waited for before it is
	// believed that nobody has such a VM. Negative is without end, until spec.lost.
	HostLossTimeout time.Duration
	// Installation is what VMs of this management cluster are stamped with.
	Installation string
	Clock        clock.PassiveClock
	// Placement is how full hosts and volumes may get.
	Placement placement.Policy

	writer *conditions.Writer
	placer *placer
	// written is what the cache must have caught up with.
	written versions
	// guests are those whose consoles were read of late.
	guests readings
	// misses are of VMs that their hosts do not have.
	misses misses
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(_ context.Context, mgr ctrl.Manager, options controller.Options) error {
	r.prepare()
	return r.watch(mgr, options)
}

func (r *Reconciler) prepare() {
	r.writer = &conditions.Writer{Client: r.Client, Events: r.Events, Summary: capstanv1.ReadyCondition, Quiet: true}
	r.placer = newPlacer(r.Hosts.ObservedAt)
	r.placer.policy = r.Placement
	if r.Census == nil {
		r.Census = &census.Taker{Live: r.Live, Hosts: r.Hosts, Clock: r.Clock}
	}
}

// scope is what one reconcile knows.
type scope struct {
	vm *capstanv1.VirtualMachine
	// was is the phase that the status showed.
	was capstanv1.VMPhase
	// phase is the first that is not over.
	phase   capstanv1.VMPhase
	cluster *clusterv1.Cluster
	paused  bool

	networks  []*capstanv1.LogicalNetwork
	addresses []*ipamv1.IPAddress
	image     *capstanv1.VMImage
	hosts     []capstanv1.HyperVHost
	// at is the host that speaks for the VM, and its agent.
	at    *capstanv1.HyperVHost
	agent hostapi.Agent
	// seen is the VM as its host says it is, nil if there is none.
	seen     *hostapi.VM
	staged   bool
	progress *int32
	seedHash string
	// retiring says what the end of the seed still waits for.
	retiring string

	// wait is why phase is not over.
	wait *wait
	// again is when to look again though nothing is waited for.
	again time.Duration
	// stale tells that the status stays as it is: the object was read before somebody else
	// changed it, or what it says is being looked into.
	stale bool
	// err is why a phase could not be finished.
	err error
}

// step is a phase and what is done in it. It returns what the phase still waits
// for, or nil once it is over.
type step struct {
	phase capstanv1.VMPhase
	run   func(context.Context, *scope) (*wait, error)
}

// Reconcile brings one VM a step further.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, reterr error) {
	vm := &capstanv1.VirtualMachine{}
	err := r.Client.Get(ctx, req.NamespacedName, vm)
	switch {
	case apierrors.IsNotFound(err):
		r.placer.forget(req.NamespacedName)
		r.written.forget(req.NamespacedName)
		r.misses.forget(req.NamespacedName)
		return ctrl.Result{}, nil
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("reading VirtualMachine %s: %w", req, err)
	}
	if r.written.behind(vm) {
		return ctrl.Result{RequeueAfter: pollCache}, nil
	}
	ctx = logs.ForVM(ctx, vm, cmp.Or(vm.Spec.ID, string(vm.UID)), vm.Spec.ClusterName)
	before := vm.DeepCopy()
	s := &scope{vm: vm, was: vm.Status.Phase}
	defer func() {
		setStatus(s)
		patience := r.Patience
		if placed(vm.Status.Phase) {
			// What was done on a host is recorded at once.
			patience = nil
		}
		reterr = errors.Join(reterr, r.writer.WriteInTime(ctx, patience, before, vm, &result, reterr))
		if vm.ResourceVersion != before.ResourceVersion {
			r.written.wrote(vm)
		}
	}()

	if s.err = r.findCluster(ctx, s); s.err != nil || s.paused {
		return ctrl.Result{}, s.err
	}
	if vm.DeletionTimestamp.IsZero() {
		r.walk(ctx, s, []step{
			{capstanv1.VMPending, r.identify},
			{capstanv1.VMAddressing, r.claimAddresses},
			{capstanv1.VMPlacing, r.place},
			{capstanv1.VMStaging, r.observe},
			{capstanv1.VMStaging, r.stageImage},
			{capstanv1.VMCreating, r.create},
			{capstanv1.VMStarting, r.start},
			{capstanv1.VMRunning, r.retireSeed},
		})
		r.reportGuest(ctx, s)
	} else {
		r.walk(ctx, s, []step{{capstanv1.VMDeleting, r.delete}})
	}
	if s.wait != nil {
		if s.wait.class != "" {
			metrics.Requeued(string(s.wait.class))
		}
		return ctrl.Result{RequeueAfter: s.wait.requeue}, s.err
	}
	return ctrl.Result{RequeueAfter: s.again}, s.err
}

// walk goes through the phases up to the first that is not over.
func (r *Reconciler) walk(ctx context.Context, s *scope, steps []step) {
	for _, step := range steps {
		s.phase = step.phase
		waiting, err := step.run(ctx, s)
		if apierrors.IsConflict(err) {
			// The cache is behind what somebody wrote meanwhile; its event is on the way.
			s.stale, s.again = true, pollWork
			return
		}
		if waiting == nil && err != nil {
			waiting = waitOf(s.phase, err)
		}
		if waiting != nil {
			s.wait = waiting
			return
		}
		if err != nil {
			s.err = err
			return
		}
	}
}

func (r *Reconciler) stamp(s *scope) hostapi.Stamp {
	return hostapi.Stamp{Installation: r.Installation, ID: hostapi.VMID(s.vm.Spec.ID)}
}
