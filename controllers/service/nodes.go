package service

import (
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

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// maxNodes is how many nodes the schema of LoadBalancers has room for.
const maxNodes = 2000

// nodesOf returns the nodes that take connections to Services, in the order of their
// names: those that are not excluded by label, by upstream's rule for load balancers.
// Nodes whose machines leave, by name, are drained, and so are those that a cluster
// autoscaler is about to delete.
func nodesOf(lister corelisters.NodeLister, leaving map[string]bool) ([]capstanv1.LoadBalancerNode, error) {
	all, err := lister.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("listing the nodes: %w", err)
	}
	var nodes []capstanv1.LoadBalancerNode
	for _, node := range all {
		address, ok := addressOfNode(node)
		if !ok || !node.DeletionTimestamp.IsZero() || isExcluded(node) || len(validation.IsDNS1123Subdomain(node.Name)) > 0 {
			continue
		}
		nodes = append(nodes, capstanv1.LoadBalancerNode{Name: node.Name, Address: address, Draining: leaving[node.Name] || isToBeDeleted(node)})
	}
	slices.SortFunc(nodes, func(a, b capstanv1.LoadBalancerNode) int { return strings.Compare(a.Name, b.Name) })
	return nodes[:min(len(nodes), maxNodes)], nil
}

// addressOfNode is the IPv4 address in the network that the load balancer is in, too.
func addressOfNode(node *corev1.Node) (string, bool) {
	for _, a := range node.Status.Addresses {
		if a.Type != corev1.NodeInternalIP {
			continue
		}
		if address, err := netip.ParseAddr(a.Address); err == nil && address.Is4() {
			return address.String(), true
		}
	}
	return "", false
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
