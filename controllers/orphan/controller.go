package orphan

import (
	"context"
	"errors"
	"time"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts;virtualmachines;tombstones,verbs=get;list;watch
// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervmachines,verbs=get;list;watch
// +kubebuilder:rbac:groups=ipam.cluster.x-k8s.io,resources=ipaddressclaims,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// When to sweep again where something is on the way.
const (
	// afterConflict is when to sweep again if somebody else wrote the status of a host.
	afterConflict = time.Second
	// whileRemoving is how often a host is asked whether an orphan has gone.
	whileRemoving = 10 * time.Second
)

// Reconciler sweeps all hosts in one go. There is one request, whatever brings it.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live   client.Reader
	Events events.EventRecorder
	// Hosts reaches the agents, Census asks all of them.
	Hosts  census.Hosts
	Census *census.Taker
	// Installation is what VMs of this management cluster are stamped with.
	Installation string
	Clock        clock.PassiveClock
	Policy       Policy

	writer *conditions.Writer
	// memory is of what the sweep before found. Losing it costs one more sweep.
	memory map[hostapi.VMID]memory
}

// memory is what is known of an orphan besides its report.
type memory struct {
	// failure is why it could not be removed, if that was tried.
	failure string
}

// Reconcile is one sweep.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	held, err := r.Census.Take(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	known, err := r.readKnown(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	found := r.judge(held, known)
	r.remember(found)
	reported, err := r.report(ctx, found)
	err = errors.Join(err, r.remove(ctx, reported), r.releaseClaims(ctx, found, known))
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: r.again(found, len(reported) < len(found.reports))}, nil
}

// again is when to sweep again.
func (r *Reconciler) again(found *sweep, unreported bool) time.Duration {
	next := r.Policy.Interval
	for _, orphan := range found.orphans {
		switch orphan.entry.State {
		case capstanv1.OrphanRemoving:
			next = min(next, whileRemoving)
		case capstanv1.OrphanWaiting:
			// Times in a status are in whole seconds.
			left := orphan.entry.FirstSeen.Add(r.Policy.Grace).Sub(r.Clock.Now()) + time.Second
			next = min(next, max(left, time.Second))
		case capstanv1.OrphanReported, capstanv1.OrphanFrozen, capstanv1.OrphanElsewhere:
		}
	}
	if unreported {
		next = min(next, afterConflict)
	}
	return next
}
