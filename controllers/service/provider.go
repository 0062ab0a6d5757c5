package service

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// provider is the cloud that a workload cluster runs in, as its controllers see it.
type provider struct {
	balancer  *balancer
	instances *instances
}

// Initialize implements cloudprovider.Interface.
func (p *provider) Initialize(cloudprovider.ControllerClientBuilder, <-chan struct{}) {}

// LoadBalancer implements cloudprovider.Interface.
func (p *provider) LoadBalancer() (cloudprovider.LoadBalancer, bool) { return p.balancer, true }

// InstancesV2 implements cloudprovider.Interface.
func (p *provider) InstancesV2() (cloudprovider.InstancesV2, bool) { return p.instances, true }

// Instances implements cloudprovider.Interface.
func (p *provider) Instances() (cloudprovider.Instances, bool) { return nil, false }

// Zones implements cloudprovider.Interface.
func (p *provider) Zones() (cloudprovider.Zones, bool) { return nil, false }

// Clusters implements cloudprovider.Interface.
func (p *provider) Clusters() (cloudprovider.Clusters, bool) { return nil, false }

// Routes implements cloudprovider.Interface.
func (p *provider) Routes() (cloudprovider.Routes, bool) { return nil, false }

// ProviderName implements cloudprovider.Interface.
func (p *provider) ProviderName() string {
	return strings.TrimSuffix(capstanv1.ProviderIDScheme, "://")
}

// HasClusterID implements cloudprovider.Interface.
func (p *provider) HasClusterID() bool { return true }

// instances tells of the VMs of one cluster. What is not known to be a VM of ours is
// left to others, and exists.
type instances struct {
	client    client.Reader
	live      client.Reader
	namespace string
}

// InstanceExists implements cloudprovider.InstancesV2. A node of which it says no is
// deleted: it says so only of a VM of which the API server itself knows nothing.
func (i *instances) InstanceExists(ctx context.Context, node *corev1.Node) (bool, error) {
	id, ours := strings.CutPrefix(node.Spec.ProviderID, capstanv1.ProviderIDScheme)
	if !ours || id == "" {
		return true, nil
	}
	for _, reader := range []client.Reader{i.client, i.live} {
		if vm, err := i.find(ctx, reader, id); vm != nil || err != nil {
			return err == nil, err
		}
	}
	return false, nil
}

// InstanceShutdown implements cloudprovider.InstancesV2.
func (i *instances) InstanceShutdown(context.Context, *corev1.Node) (bool, error) {
	// A VM that is off is started again, so its node is not one to be given up.
	return false, nil
}

// InstanceMetadata implements cloudprovider.InstancesV2. Nodes are told their provider
// ID when they boot; only those that are can be known.
func (i *instances) InstanceMetadata(ctx context.Context, node *corev1.Node) (*cloudprovider.InstanceMetadata, error) {
	id, ours := strings.CutPrefix(node.Spec.ProviderID, capstanv1.ProviderIDScheme)
	if !ours {
		return nil, fmt.Errorf("node %q has no providerID of a virtual machine: %w", node.Name, cloudprovider.InstanceNotFound)
	}
	vm, err := i.find(ctx, i.client, id)
	switch {
	case err != nil:
		return nil, err
	case vm == nil:
		return nil, fmt.Errorf("the virtual machine of node %q: %w", node.Name, cloudprovider.InstanceNotFound)
	}
	metadata := &cloudprovider.InstanceMetadata{ProviderID: node.Spec.ProviderID}
	for _, address := range vm.Status.Addresses {
		metadata.NodeAddresses = append(metadata.NodeAddresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: address})
	}
	return metadata, nil
}

func (i *instances) find(ctx context.Context, from client.Reader, id string) (*capstanv1.VirtualMachine, error) {
	vms := &capstanv1.VirtualMachineList{}
	if err := from.List(ctx, vms, client.InNamespace(i.namespace)); err != nil {
		return nil, fmt.Errorf("listing the VirtualMachines in %s: %w", i.namespace, err)
	}
	for n := range vms.Items {
		if vms.Items[n].Spec.ID == id {
			return &vms.Items[n], nil
		}
	}
	return nil, nil //nolint:nilnil // There is none.
}
