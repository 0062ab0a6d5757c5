package loadbalancer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbplan"
)

// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=machines,verbs=patch

// departureHook keeps a control-plane Machine that is deleted as it is, until no VM
// of the load balancer sends anybody there. Without it the machine's etcd member goes
// as soon as its node is drained, and its API server refuses from then on what is
// asked on connections that it still has. Each load balancer of a cluster has a hook
// of its own: a name has at most 54 characters, and a key 63 after the slash.
func departureHook(lb *capstanv1.LoadBalancer) string { return hookPrefix + "." + lb.Name }

// hookPrefix is that of all hooks, and sharedHook the one that all load balancers of a
// cluster used to share: machines that still have it lose it with the first of them.
const (
	hookPrefix = clusterv1.PreDrainDeleteHookAnnotationPrefix + "/capstan"
	sharedHook = hookPrefix + "-load-balancer"
)

// How a machine leaves.
const (
	// drainTime is for requests that were under way to come to their end. Watches and
	// other connections that never do are ended then; their clients begin anew with
	// another machine.
	drainTime = 2 * time.Second
	// longestDeparture is how long VMs that do not answer can hold a machine.
	longestDeparture = 15 * time.Second
	departurePoll    = 500 * time.Millisecond
)

// reconcileDepartures holds the control-plane machines that others can stand in
// for, and lets those that leave go once all VMs carry a plan without them.
func (r *Reconciler) reconcileDepartures(ctx context.Context, s *scope) error {
	if s.machines == nil {
		if err := r.findMembers(ctx, s); err != nil {
			return err
		}
	}
	for i := range s.machines {
		machine := &s.machines[i]
		held, shared := hooksOf(s.lb, machine)
		leaves := !machine.DeletionTimestamp.IsZero()
		switch {
		case !leaves && (shared || !held && len(s.machines) > 1):
			if err := r.hold(ctx, s.lb, machine); err != nil {
				return err
			}
		case leaves && (held || shared):
			if wait := s.departsIn(machine); wait > 0 {
				s.tryAgainIn(wait)
				continue
			}
			if err := r.letGo(ctx, s.lb, machine); err != nil {
				return err
			}
		}
	}
	return nil
}

// hooksOf tells which hooks of the load balancer a machine has.
func hooksOf(lb *capstanv1.LoadBalancer, machine *clusterv1.Machine) (own, shared bool) {
	_, own = machine.Annotations[departureHook(lb)]
	_, shared = machine.Annotations[sharedHook]
	return own, shared
}

// departsIn returns when to look again at a machine that leaves, or 0 if it may go.
func (s *scope) departsIn(machine *clusterv1.Machine) time.Duration {
	age := s.now.Sub(s.leaving[machine.UID])
	switch {
	case s.cluster != nil && !s.cluster.DeletionTimestamp.IsZero() || age >= longestDeparture:
		return 0
	case !lbplan.HasSpare(s.members):
		// It gets connections to its end.
		return 0
	case age < drainTime:
		return drainTime - age
	case s.err != nil && s.instances == nil:
		// Whether anybody is still sent there is not known.
		return departurePoll
	}
	for _, i := range s.instances {
		if i.reason == "" && !i.verdict.isDead() && !i.current {
			return departurePoll
		}
	}
	return 0
}

func (r *Reconciler) hold(ctx context.Context, lb *capstanv1.LoadBalancer, machine *clusterv1.Machine) error {
	return r.patchHooks(ctx, machine, fmt.Sprintf(`{%q:"",%q:null}`, departureHook(lb), sharedHook))
}

func (r *Reconciler) letGo(ctx context.Context, lb *capstanv1.LoadBalancer, machine *clusterv1.Machine) error {
	return r.patchHooks(ctx, machine, fmt.Sprintf(`{%q:null,%q:null}`, departureHook(lb), sharedHook))
}

func (r *Reconciler) patchHooks(ctx context.Context, machine *clusterv1.Machine, annotations string) error {
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":%s}}`, annotations))
	if err := r.Client.Patch(ctx, machine, patch, client.FieldOwner(capstanv1.FieldOwner)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("changing the deletion hook of Machine %s: %w", machine.Name, err)
	}
	return nil
}

// releaseAll lets all machines go, because nobody will look after them any more.
func (r *Reconciler) releaseAll(ctx context.Context, lb *capstanv1.LoadBalancer) error {
	return r.release(ctx, lb, func(*clusterv1.Machine) bool { return true })
}

// releaseLeaving lets the machines go that leave while the load balancer alone is
// paused: the control plane goes on, and no plan is going to leave them out.
func (r *Reconciler) releaseLeaving(ctx context.Context, s *scope) error {
	if s.cluster != nil && ptr.Deref(s.cluster.Spec.Paused, false) {
		return nil
	}
	return r.release(ctx, s.lb, func(m *clusterv1.Machine) bool { return !m.DeletionTimestamp.IsZero() })
}

func (r *Reconciler) release(ctx context.Context, lb *capstanv1.LoadBalancer, mayGo func(*clusterv1.Machine) bool) error {
	machines, err := r.machines(ctx, lb)
	if err != nil {
		return err
	}
	for i := range machines {
		if held, shared := hooksOf(lb, &machines[i]); (held || shared) && mayGo(&machines[i]) {
			if err := r.letGo(ctx, lb, &machines[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// departures are since when machines are known to leave. It begins anew with the
// manager, which holds them a little longer then.
type departures struct {
	mu    sync.Mutex
	since map[client.ObjectKey]map[types.UID]time.Time
}

// note takes which machines of a load balancer leave now, and returns since when.
func (d *departures) note(lb client.ObjectKey, machines []clusterv1.Machine, now time.Time) map[types.UID]time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	leaving := map[types.UID]time.Time{}
	for i := range machines {
		machine := &machines[i]
		if machine.DeletionTimestamp.IsZero() {
			continue
		}
		leaving[machine.UID] = now
		if since, known := d.since[lb][machine.UID]; known {
			leaving[machine.UID] = since
		}
	}
	delete(d.since, lb)
	if len(leaving) > 0 {
		if d.since == nil {
			d.since = map[client.ObjectKey]map[types.UID]time.Time{}
		}
		d.since[lb] = leaving
	}
	return leaving
}
