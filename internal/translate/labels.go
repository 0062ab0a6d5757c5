package translate

import (
	"strings"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// NodeLabelSetter says who can put a label on a node.
type NodeLabelSetter int

// Those who can put labels on nodes. A kubelet that is told to set a label that
// it may not set does not start, so who sets one is decided by its key.
const (
	SetByKubelet NodeLabelSetter = iota
	SetByClusterAPI
	SetByNobody
)

// Source: k8s.io/kubelet/pkg/apis, IsKubeletLabel.
var kubeletMaySet = map[string]bool{
	"kubernetes.io/hostname": true, "kubernetes.io/arch": true, "kubernetes.io/os": true,
	"beta.kubernetes.io/arch": true, "beta.kubernetes.io/os": true,
	"beta.kubernetes.io/instance-type": true, "node.kubernetes.io/instance-type": true,
	"failure-domain.beta.kubernetes.io/zone": true, "failure-domain.beta.kubernetes.io/region": true,
	"topology.kubernetes.io/zone": true, "topology.kubernetes.io/region": true,
}

// SetterOf returns who puts a label with this key on a node.
func SetterOf(key string) NodeLabelSetter {
	domain, _, qualified := strings.Cut(key, "/")
	switch {
	case !qualified:
		return SetByKubelet
	case domain == clusterv1.NodeRoleLabelPrefix,
		within(domain, clusterv1.NodeRestrictionLabelDomain),
		within(domain, clusterv1.ManagedNodeLabelDomain):
		return SetByClusterAPI
	case within(domain, "node.kubernetes.io"), within(domain, "kubelet.kubernetes.io"), kubeletMaySet[key]:
		return SetByKubelet
	case within(domain, "kubernetes.io"), within(domain, "k8s.io"):
		return SetByNobody
	}
	return SetByKubelet
}

func within(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}

// kubeletLabels are the labels of a pool that kubelets put on their own nodes.
func kubeletLabels(pool *capstanv1.NodePool) map[string]string {
	return labelsSetBy(pool, SetByKubelet)
}

// templateLabels are the labels of the pool's Machines. Cluster API copies those
// to the nodes that a kubelet may not set itself.
func templateLabels(pool *capstanv1.NodePool) map[string]string {
	labels := labelsSetBy(pool, SetByClusterAPI)
	for k, v := range MachineLabels(pool) {
		labels[k] = v
	}
	return labels
}

func labelsSetBy(pool *capstanv1.NodePool, setter NodeLabelSetter) map[string]string {
	labels := map[string]string{}
	for k, v := range pool.Spec.Labels {
		if SetterOf(k) == setter {
			labels[k] = v
		}
	}
	return labels
}
