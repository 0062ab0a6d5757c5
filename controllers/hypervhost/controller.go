// Package hypervhost watches over hosts: it enrols their agents, keeps their
// inventory in status, renews their certificates and hands them the tombstones.
// What runs on a host is changed elsewhere; here nothing is ever created or
// deleted on one but through a tombstone.
package hypervhost

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts,verbs=get;list;watch
// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=tombstones,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=capstan.dev,resources=tombstones/status;tombstones/finalizers,verbs=get;update;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=addressreservations,verbs=get;list;watch;delete
// +kubebuilder:rbac:groups=ipam.cluster.x-k8s.io,resources=ipaddressclaims,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// How often a host is asked where nothing else is said. A host that cannot be
// asked is tried more often, because others wait for it.
const (
	pollConnected    = 10 * time.Second
	pollDisconnected = 5 * time.Second
)

// Reconciler reconciles HyperVHosts.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live    client.Reader
	Events  events.EventRecorder
	Agents  *Agents
	Manager *pki.ManagerIdentity
	// Installation is what VMs of this management cluster are stamped with.
	Installation string
	Clock        clock.PassiveClock
	// PollInterval is how often the inventory of a host that answers is read. Zero
	// is 10 s. A host that does not answer is tried every 5 s, or as often.
	PollInterval time.Duration

	writer *conditions.Writer
	mu     sync.Mutex
	memory map[string]*memory
}

// memory is what is known of a host besides its status. Losing it costs a call
// and no more.
type memory struct {
	// told is the hash of the tombstones that the agent was given last.
	told string
	// answered is when the agent answered last.
	answered time.Time
	// tokenSpent tells that the enrolment token is gone.
	tokenSpent bool
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(_ context.Context, mgr ctrl.Manager, options controller.Options) error {
	r.prepare()
	return ctrl.NewControllerManagedBy(mgr).
		Named("hypervhost").
		For(&capstanv1.HyperVHost{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&capstanv1.Tombstone{}, handler.EnqueueRequestsFromMapFunc(r.hostsOfTombstone), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

func (r *Reconciler) prepare() {
	r.writer = &conditions.Writer{Client: r.Client, Events: r.Events, Summary: capstanv1.ReadyCondition}
	r.memory = map[string]*memory{}
	if r.PollInterval == 0 {
		r.PollInterval = pollConnected
	}
}

// scope is what one reconcile knows.
type scope struct {
	host   *capstanv1.HyperVHost
	memory *memory
	agent  hostapi.Agent
	// hello and inventory are nil where the host could not be asked.
	hello     *hostapi.Hello
	inventory *hostapi.Inventory
	// answered is when the agent answered last, zero if this process has not heard it.
	answered time.Time
	// asked is when the inventory was asked for.
	asked time.Time
	// left are the VMs that are to leave a host that is being drained, nil for another.
	left *survey
	// holding is what such a host holds by its own word, nil if it was not asked.
	holding *holding
	// err is why a phase could not be finished.
	err error
}

// Reconcile asks one host how it is and tells it what it must know.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, reterr error) {
	host := &capstanv1.HyperVHost{}
	err := r.Client.Get(ctx, req.NamespacedName, host)
	switch {
	case apierrors.IsNotFound(err):
		return r.hostGone(ctx, req.Name)
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("reading HyperVHost %s: %w", req.Name, err)
	}
	before := host.DeepCopy()
	s := &scope{host: host, memory: r.remember(req.Name)}
	defer func() {
		s.answered = s.memory.answered
		setStatus(s)
		err := r.writer.Write(ctx, before, host)
		if err == nil && s.inventory != nil {
			r.Agents.observe(host.Name, s.asked)
		}
		if err == nil {
			r.tellOfDrain(before, host)
		}
		reterr = errors.Join(reterr, err)
	}()
	if err := r.findLeft(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	for _, phase := range []func(context.Context, *scope) error{
		r.connect,
		r.bury,
		r.takeInventory,
	} {
		if s.err = phase(ctx, s); s.err != nil {
			break
		}
	}
	if s.err == nil {
		r.takeStock(ctx, s)
	}
	if s.err != nil && reasonOf(s.err) == capstanv1.ReasonInternalError {
		return ctrl.Result{}, s.err
	}
	if s.err != nil {
		return ctrl.Result{RequeueAfter: min(pollDisconnected, r.PollInterval)}, r.tellOfSilence(ctx, s)
	}
	return ctrl.Result{RequeueAfter: r.PollInterval}, nil
}

func (r *Reconciler) takeInventory(ctx context.Context, s *scope) error {
	s.asked = r.Clock.Now()
	inventory, err := s.agent.Inventory(ctx)
	if err != nil {
		return err
	}
	s.inventory = &inventory
	return nil
}

// hostGone forgets a host whose HyperVHost was deleted.
func (r *Reconciler) hostGone(ctx context.Context, name string) (ctrl.Result, error) {
	r.mu.Lock()
	delete(r.memory, name)
	r.mu.Unlock()
	r.Agents.forget(name)
	waiting, err := r.releaseOfRemoved(ctx, name)
	if err != nil || !waiting {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: min(pollDisconnected, r.PollInterval)}, nil
}

func (r *Reconciler) remember(host string) *memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.memory[host]
	if !ok {
		m = &memory{}
		r.memory[host] = m
	}
	return m
}
