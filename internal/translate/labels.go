package translate

import (
	"maps"
	"slices"
	"strings"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// clusterAPIDomain is the domain of Cluster API's own labels and annotations.
const clusterAPIDomain = "cluster.x-k8s.io"

// NodeLabelSetter says who can put a label on a node.
type NodeLabelSetter int

// Those who can put labels on nodes. A kubelet that is told to set a label that
// it may not set does not start, so who sets one is decided by its key.
const (
	// SetByKubelet: as its node registers, if it is told to.
	SetByKubelet NodeLabelSetter = iota
	// SetByClusterAPI: once the node is there.
	SetByClusterAPI
	// SetAsItIs: by the kubelet, to what is the case, whatever it is told.
	SetAsItIs
	// SetForItself: by Cluster API or Capstan, to find what is theirs.
	SetForItself
	// SetByNobody: a kubelet refuses to start with it.
	SetByNobody
)

// Source: k8s.io/kubelet/pkg/apis, IsKubeletLabel.
var kubeletMaySet = map[string]bool{
	"beta.kubernetes.io/instance-type": true, "node.kubernetes.io/instance-type": true,
	"failure-domain.beta.kubernetes.io/zone": true, "failure-domain.beta.kubernetes.io/region": true,
	"topology.kubernetes.io/zone": true, "topology.kubernetes.io/region": true,
}

var setAsItIs = map[string]bool{
	"kubernetes.io/hostname": true, "kubernetes.io/arch": true, "kubernetes.io/os": true,
	"beta.kubernetes.io/arch": true, "beta.kubernetes.io/os": true,
}

// A worker with one of these would count as a member of the control plane.
var controlPlaneRoles = map[string]bool{
	clusterv1.NodeRoleLabelPrefix + "/control-plane": true, clusterv1.NodeRoleLabelPrefix + "/master": true,
}

// SetterOf returns who puts a label with this key on a node.
func SetterOf(key string) NodeLabelSetter {
	domain, _, qualified := strings.Cut(key, "/")
	switch {
	case key == clusterv1.MachineDeploymentUniqueLabel, controlPlaneRoles[key]:
		return SetForItself
	case !qualified:
		return SetByKubelet
	case setAsItIs[key]:
		return SetAsItIs
	case domain == clusterv1.NodeRoleLabelPrefix,
		within(domain, clusterv1.NodeRestrictionLabelDomain),
		within(domain, clusterv1.ManagedNodeLabelDomain):
		return SetByClusterAPI
	case within(domain, clusterAPIDomain), within(domain, capstanv1.GroupVersion.Group):
		return SetForItself
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

// kubeletLabels are the labels of a pool that kubelets put on their own nodes as
// they register, so that no pod ever sees the node without.
func kubeletLabels(pool *capstanv1.NodePool) map[string]string {
	return labelsSetBy(pool, SetByKubelet)
}

// nodeLabels are all the labels of a pool that nodes get.
func nodeLabels(pool *capstanv1.NodePool) map[string]string {
	return labelsSetBy(pool, SetByKubelet, SetByClusterAPI)
}

// templateLabels are the labels of the pool's Machines. Cluster API keeps those of
// the nodes equal to them, and sets those that a kubelet may not set itself.
func templateLabels(pool *capstanv1.NodePool) map[string]string {
	labels := nodeLabels(pool)
	maps.Copy(labels, MachineLabels(pool))
	return labels
}

func labelsSetBy(pool *capstanv1.NodePool, setters ...NodeLabelSetter) map[string]string {
	labels := map[string]string{}
	for k, v := range pool.Spec.Labels {
		if slices.Contains(setters, SetterOf(k)) {
			labels[k] = v
		}
	}
	return labels
}
