package service

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	coreinformers "k8s.io/client-go/informers/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	servicecontroller "k8s.io/cloud-provider/controllers/service"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// maxNodes is how many nodes the schema of LoadBalancers has room for.
const maxNodes = 2000

// machines are the VMs that may be nodes of a cluster, by the provider IDs of these.
type machines map[string]machine

// machine is one of them.
type machine struct {
	addresses []string
	// steers tells that it is one of the control plane.
	steers bool
}

// machinesOf are those of a LoadBalancer's cluster. Load-balancer VMs are none of them.
func machinesOf(ctx context.Context, c client.Client, lb *capstanv1.LoadBalancer) (machines, error) {
	list := &capstanv1.VirtualMachineList{}
	if err := c.List(ctx, list, client.InNamespace(lb.Namespace), &client.ListOptions{UnsafeDisableDeepCopy: ptr.To(true)}); err != nil {
		return nil, fmt.Errorf("listing the VirtualMachines in %s: %w", lb.Namespace, err)
	}
	all := machines{}
	for i := range list.Items {
		vm := &list.Items[i]
		if vm.Spec.ClusterName == lb.Spec.ClusterName && vm.Spec.Role != capstanv1.RoleLoadBalancer && vm.Spec.ID != "" {
			all[capstanv1.ProviderIDScheme+vm.Spec.ID] = machine{slices.Clone(vm.Status.Addresses), vm.Spec.Role == capstanv1.RoleControlPlane}
		}
	}
	return all, nil
}

// nodesOf returns the nodes that take connections to Services, in the order of their
// names: those that are not excluded by label, by upstream's rule for load balancers.
// Nodes whose machines leave, by name, are drained, and so are those that a cluster
// autoscaler is about to delete. Those of the control plane take none unless the label
// says that they are not excluded: kubeadm labels such a node a moment after it is there,
// and until then it looks like any other.
//
// A Node says of itself what its cluster lets it say, and whoever may write Nodes could
// have the load balancer connect anywhere. Those that are no VM of the cluster, or tell an
// address that their VM does not have, are strangers, and take none.
func nodesOf(lister corelisters.NodeLister, leaving map[string]bool, vms machines) (nodes []capstanv1.LoadBalancerNode, strangers []string, err error) {
	all, err := lister.List(labels.Everything())
	if err != nil {
		return nil, nil, fmt.Errorf("listing the nodes: %w", err)
	}
	slices.SortFunc(all, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	taken := map[string]bool{}
	for _, node := range all {
		addresses := addressesOfNode(node)
		if len(addresses) == 0 || !node.DeletionTimestamp.IsZero() || isExcluded(node) || len(validation.IsDNS1123Subdomain(node.Name)) > 0 {
			continue
		}
		vm := vms[node.Spec.ProviderID]
		if _, asked := node.Labels[corev1.LabelNodeExcludeBalancers]; vm.steers && !asked {
			continue
		}
		first := slices.IndexFunc(addresses, func(a string) bool { return slices.Contains(vm.addresses, a) && !taken[a] })
		if first < 0 {
			strangers = append(strangers, node.Name)
			continue
		}
		taken[addresses[first]] = true
		nodes = append(nodes, capstanv1.LoadBalancerNode{Name: node.Name, Address: addresses[first], Draining: leaving[node.Name] || isToBeDeleted(node)})
	}
	return nodes[:min(len(nodes), maxNodes)], strangers, nil
}

// addressesOfNode are the IPv4 addresses that a node tells of itself.
func addressesOfNode(node *corev1.Node) (addresses []string) {
	for _, a := range node.Status.Addresses {
		if a.Type != corev1.NodeInternalIP {
			continue
		}
		if address, err := netip.ParseAddr(a.Address); err == nil && address.Is4() {
			addresses = append(addresses, address.String())
		}
	}
	return addresses
}

func isExcluded(node *corev1.Node) bool {
	value, labelled := node.Labels[corev1.LabelNodeExcludeBalancers]
	if !labelled {
		return false
	}
	excluded, err := strconv.ParseBool(value)
	return err != nil || excluded
}

func isToBeDeleted(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == servicecontroller.ToBeDeletedTaint })
}

// unheardNodes are nodes of whose changes upstream's service controller does not hear.
// It would update each Service for each of them, one event apiece, and reads its own
// memory while it writes it; here nodes are written once for all Services.
type unheardNodes struct{ coreinformers.NodeInformer }

// Informer implements coreinformers.NodeInformer.
func (n unheardNodes) Informer() cache.SharedIndexInformer {
	return unheard{n.NodeInformer.Informer()}
}

type unheard struct{ cache.SharedIndexInformer }

// AddEventHandlerWithResyncPeriod implements cache.SharedIndexInformer.
func (u unheard) AddEventHandlerWithResyncPeriod(cache.ResourceEventHandler, time.Duration) (cache.ResourceEventHandlerRegistration, error) {
	return u.AddEventHandler(cache.ResourceEventHandlerFuncs{})
}
