package narrator

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// The Service that is published, as the sample has it, with the port that http has.
const (
	ServiceSample = "config/samples/service.yaml"
	ServiceName   = "web"
	servicePort   = 80
)

// LookEvery is how often is looked at what nobody tells of.
const LookEvery = 10 * time.Millisecond

// Publish makes the Service in a cluster, whose kubeconfig was written before, and
// returns its virtual address as soon as everybody can see it.
func (n *Narrator) Publish(ctx context.Context, cluster client.ObjectKey) (netip.Addr, error) {
	if _, err := n.Env.RunKubectl(ctx, "--kubeconfig", n.Kubeconfig(cluster), "apply", "-f", ServiceSample); err != nil {
		return netip.Addr{}, err
	}
	applied := time.Now()
	api, err := n.WorkloadClient(cluster)
	if err != nil {
		return netip.Addr{}, err
	}
	var vip netip.Addr
	err = wait.PollUntilContextCancel(ctx, LookEvery, true, func(ctx context.Context) (bool, error) {
		service := &corev1.Service{}
		if err := api.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceDefault, Name: ServiceName}, service); err != nil {
			return false, fmt.Errorf("reading Service %s of cluster %s: %w", ServiceName, cluster.Name, err)
		}
		if len(service.Status.LoadBalancer.Ingress) == 0 {
			return false, nil
		}
		vip, err = netip.ParseAddr(service.Status.LoadBalancer.Ingress[0].IP)
		return err == nil, err
	})
	if err != nil {
		return vip, fmt.Errorf("waiting for the virtual address of Service %s of cluster %s: %w", ServiceName, cluster.Name, err)
	}
	n.Screen.Step(fmt.Sprintf("Service %s has the address %s, %d ms after kubectl returned", ServiceName, vip, time.Since(applied).Milliseconds()))
	return vip, nil
}

// ShowService prints the Service as a person would look at it.
func (n *Narrator) ShowService(ctx context.Context, cluster client.ObjectKey) error {
	table, err := n.Env.RunKubectl(ctx, "--kubeconfig", n.Kubeconfig(cluster), "get", "service", ServiceName)
	if err != nil {
		return err
	}
	n.Screen.Plain("\n         %s", WorkloadCommand(cluster, "get service "+ServiceName))
	n.Screen.Text(table)
	n.Screen.Plain("")
	return nil
}

// IsFree tells whether a virtual address is nobody's: in the network, and in the
// management cluster.
func (n *Narrator) IsFree(ctx context.Context, vip netip.Addr) (bool, error) {
	programs, err := listenersOn(vip)
	if err != nil || len(programs) > 0 {
		return false, err
	}
	reservations := &capstanv1.AddressReservationList{}
	if err := n.API.List(ctx, reservations); err != nil {
		return false, fmt.Errorf("listing the reserved addresses: %w", err)
	}
	for i := range reservations.Items {
		if reservations.Items[i].Spec.Address == vip.String() {
			return false, nil
		}
	}
	return true, nil
}
