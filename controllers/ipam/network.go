package ipam

import (
	"context"
	"net/netip"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// NetworkReconciler counts the addresses of LogicalNetworks.
type NetworkReconciler struct {
	Client client.Client
	Events events.EventRecorder

	writer *conditions.Writer
}

// SetupWithManager adds the controller to a manager.
func (r *NetworkReconciler) SetupWithManager(_ context.Context, mgr ctrl.Manager, options controller.Options) error {
	r.writer = &conditions.Writer{Client: r.Client, Events: r.Events, Summary: capstanv1.ReadyCondition}
	return ctrl.NewControllerManagedBy(mgr).
		Named("logicalnetwork").
		For(&capstanv1.LogicalNetwork{}).
		Watches(&capstanv1.AddressReservation{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, obj client.Object) []reconcile.Request {
			reservation, ok := obj.(*capstanv1.AddressReservation)
			if !ok {
				return nil
			}
			return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: reservation.Spec.LogicalNetwork}}}
		})).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

// Reconcile writes the status of one LogicalNetwork.
func (r *NetworkReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	network := &capstanv1.LogicalNetwork{}
	if err := r.Client.Get(ctx, req.NamespacedName, network); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := network.DeepCopy()
	reservations := &capstanv1.AddressReservationList{}
	if err := r.Client.List(ctx, reservations); err != nil {
		return ctrl.Result{}, err
	}
	setNetworkStatus(network, reservations.Items)
	return ctrl.Result{}, r.writer.Write(ctx, before, network)
}

func setNetworkStatus(network *capstanv1.LogicalNetwork, reservations []capstanv1.AddressReservation) {
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
	network.Status.Nodes = count(nodes, network.Name, reservations)
	network.Status.VIPs = count(vips, network.Name, reservations)
	switch {
	case network.Status.Nodes.Free == 0:
		conditions.False(network, capstanv1.ReadyCondition, capstanv1.ReasonNetworkFull, "all %d addresses of nodeRanges are taken", network.Status.Nodes.Total)
	case network.Status.VIPs.Free == 0:
		conditions.False(network, capstanv1.ReadyCondition, capstanv1.ReasonNetworkFull, "all %d addresses of vipRanges are taken", network.Status.VIPs.Total)
	default:
		conditions.True(network, capstanv1.ReadyCondition, capstanv1.ReasonReady, "%d addresses for nodes and %d virtual addresses are free",
			network.Status.Nodes.Free, network.Status.VIPs.Free)
	}
}

func count(pool *addresspool.Pool, network string, reservations []capstanv1.AddressReservation) *capstanv1.AddressCounts {
	counts := &capstanv1.AddressCounts{Total: pool.Count()}
	for i := range reservations {
		spec := &reservations[i].Spec
		if spec.LogicalNetwork != network {
			continue
		}
		if address, err := netip.ParseAddr(spec.Address); err == nil && pool.Contains(address) {
			counts.Used++
		}
	}
	counts.Free = counts.Total - counts.Used
	return counts
}
