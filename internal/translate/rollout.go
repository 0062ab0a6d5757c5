package translate

import (
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// ReplacesNodes tells whether applying the objects would replace the nodes of md.
func (o *PoolObjects) ReplacesNodes(md *clusterv1.MachineDeployment) bool {
	return nodesOf(o.Machines) != nodesOf(md)
}

// NodesHash names what the nodes are made from.
func (o *PoolObjects) NodesHash() string { return contentHash(nodesOf(o.Machines)) }

// KeepNodes takes back all that would replace the nodes of md. The rest stays,
// such as the number of nodes and their labels.
func (o *PoolObjects) KeepNodes(md *clusterv1.MachineDeployment) {
	was, is := &md.Spec.Template.Spec, &o.Machines.Spec.Template.Spec
	is.Version, is.InfrastructureRef, is.Bootstrap.ConfigRef = was.Version, was.InfrastructureRef, was.Bootstrap.ConfigRef
	if o.MachineTemplate != nil && o.MachineTemplate.Name != is.InfrastructureRef.Name {
		o.MachineTemplate = nil
	}
	if o.BootstrapConfig != nil && o.BootstrapConfig.Name != is.Bootstrap.ConfigRef.Name {
		o.BootstrapConfig = nil
	}
}

// nodes is what Cluster API replaces machines for.
type nodes struct{ Version, MachineTemplate, BootstrapConfig string }

func nodesOf(md *clusterv1.MachineDeployment) nodes {
	spec := &md.Spec.Template.Spec
	return nodes{Version: spec.Version, MachineTemplate: spec.InfrastructureRef.Name, BootstrapConfig: spec.Bootstrap.ConfigRef.Name}
}
