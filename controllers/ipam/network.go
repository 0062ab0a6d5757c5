package ipam

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// countInterval is how long addresses are given and taken before they are counted:
// a hundred clusters at once shall not be a thousand writes of one status.
const countInterval = 500 * time.Millisecond

// Census tells what hosts hold.
type Census interface {
	// Since returns what they said to questions that were asked no earlier than a moment,
	// nil while somebody else asks them.
	Since(ctx context.Context, moment time.Time) (*census.Census, error)
}

// NetworkReconciler counts the addresses of LogicalNetworks, and frees those that
// somebody left behind.
type NetworkReconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live   client.Reader
	Events events.EventRecorder
	Clock  clock.PassiveClock
	// Census asks hosts what they hold.
	Census Census
	// Installation is what VMs of this management cluster are stamped with.
	Installation string

	writer    *conditions.Writer
	abandoned abandoned
}

// SetupWithManager adds the controller to a manager that has the claims' controller,
// whose index it uses.
func (r *NetworkReconciler) SetupWithManager(_ context.Context, mgr ctrl.Manager, options controller.Options) error {
	r.writer = &conditions.Writer{Client: r.Client, Events: r.Events, Summary: capstanv1.ReadyCondition}
	return ctrl.NewControllerManagedBy(mgr).
		Named("logicalnetwork").
		For(&capstanv1.LogicalNetwork{}).
		Watches(&capstanv1.AddressReservation{}, soon(countInterval, networkOfReservation)).
		Watches(&ipamv1.IPAddressClaim{}, soon(countInterval, networkOfGoneClaim), builder.WithPredicates(conditions.OnlyDeletions())).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

// soon enqueues the network of an object that comes, changes or goes, once for all that do so
// within the interval.
func soon(interval time.Duration, networkOf func(client.Object) string) handler.EventHandler {
	enqueue := func(obj client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if network := networkOf(obj); network != "" {
			queue.AddAfter(reconcile.Request{NamespacedName: client.ObjectKey{Name: network}}, interval)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			enqueue(e.Object, queue)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			enqueue(e.ObjectNew, queue)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			enqueue(e.Object, queue)
		},
	}
}

func networkOfReservation(obj client.Object) string {
	if reservation, ok := obj.(*capstanv1.AddressReservation); ok {
		return reservation.Spec.LogicalNetwork
	}
	return ""
}

// networkOfGoneClaim is the network whose addresses a claim leaves behind, if it does.
func networkOfGoneClaim(obj client.Object) string {
	if claim, ok := obj.(*ipamv1.IPAddressClaim); ok && isOurs(claim) {
		return claim.Spec.PoolRef.Name
	}
	return ""
}

// Reconcile writes the status of one LogicalNetwork.
func (r *NetworkReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	network := &capstanv1.LogicalNetwork{}
	if err := r.Client.Get(ctx, req.NamespacedName, network); err != nil {
		r.abandoned.note(req.Name, nil, time.Time{})
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := network.DeepCopy()
	held, err := r.heldIn(ctx, network.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	setNetworkStatus(network, held)
	left, again, err := r.reclaim(ctx, network, held)
	if err == nil {
		setUnclaimed(network, left)
	}
	return ctrl.Result{RequeueAfter: again}, errors.Join(err, r.nameUsers(ctx, held), r.writer.Write(ctx, before, network))
}

func setNetworkStatus(network *capstanv1.LogicalNetwork, reservations []reserved) {
	network.Status.ObservedGeneration = network.Generation
	nodes, err := addresspool.New(&network.Spec, addresspool.Nodes)
	if err != nil {
		conditions.False(network, capstanv1.ReadyCondition, capstanv1.ReasonInvalidSpec, "%s", err)
		return
	}
	vips, err := addresspool.New(&network.Spec, addresspool.VIPs)
	if err != nil {
		conditions.False(network, capstanv1.ReadyCondition, capstanv1.ReasonInvalidSpec, "%s", err)
		return
	}
	network.Status.Nodes = count(network, addresspool.Nodes, nodes, reservations)
	network.Status.VIPs = count(network, addresspool.VIPs, vips, reservations)
	network.Status.Users = usersOf(vips, reservations)
	// A network that is used to the last address works as it should.
	conditions.True(network, capstanv1.ReadyCondition, capstanv1.ReasonReady, "its ranges are valid")
	setAvailable(network)
}

// setAvailable tells whether whoever asks next gets an address. What another provider
// gives out is for that to tell.
func setAvailable(network *capstanv1.LogicalNetwork) {
	var full, free []string
	for _, r := range []struct {
		field, noun string
		counts      *capstanv1.AddressCounts
	}{{"nodeRanges", "addresses for nodes", network.Status.Nodes}, {"vipRanges", "virtual addresses", network.Status.VIPs}} {
		switch {
		case r.counts == nil:
		case r.counts.Free == 0:
			taken := fmt.Sprintf("all %d addresses of %s are taken", r.counts.Total, r.field)
			if r.counts.Reserved > 0 {
				taken += fmt.Sprintf(", %d of them without a claim (status.unclaimed)", r.counts.Reserved)
			}
			full = append(full, taken)
		default:
			free = append(free, fmt.Sprintf("%d %s", r.counts.Free, r.noun))
		}
	}
	switch {
	case len(full) > 0:
		conditions.False(network, capstanv1.AddressesAvailableCondition, capstanv1.ReasonNetworkFull, "%s", strings.Join(full, "; "))
	case len(free) == 0:
		conditions.True(network, capstanv1.AddressesAvailableCondition, capstanv1.ReasonAvailable, "another provider gives them out")
	default:
		conditions.True(network, capstanv1.AddressesAvailableCondition, capstanv1.ReasonAvailable, "%s are free", strings.Join(free, " and "))
	}
}
