package main

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// talkers are the kinds whose objects say why they wait.
var talkers = []schema.GroupVersionKind{
	capstanv1.GroupVersion.WithKind("WorkloadCluster"), capstanv1.GroupVersion.WithKind("NodePool"),
	capstanv1.GroupVersion.WithKind("LoadBalancer"), capstanv1.GroupVersion.WithKind("VirtualMachine"),
	capstanv1.GroupVersion.WithKind("HyperVHost"), capstanv1.GroupVersion.WithKind("LogicalNetwork"), capstanv1.GroupVersion.WithKind("VMImage"),
	infrav1.GroupVersion.WithKind("HyperVCluster"), infrav1.GroupVersion.WithKind("HyperVMachine"),
}

// book is what the management cluster says of VMs, now and ever.
type book struct {
	api client.Client

	mu    sync.Mutex
	known map[string]subject
	// whole are the clusters all of whose members are ready, and shall stay.
	whole map[string]bool
}

func newBook(api client.Client) *book {
	return &book{api: api, known: map[string]subject{}, whole: map[string]bool{}}
}

// read brings the book up to date.
func (b *book) read(ctx context.Context) error {
	clusters, vms, machines := &capstanv1.WorkloadClusterList{}, &capstanv1.VirtualMachineList{}, &clusterv1.MachineList{}
	// VMs first: a cluster that is wanted after its VM was seen was so before.
	for _, list := range []client.ObjectList{vms, clusters, machines} {
		if err := b.api.List(ctx, list); err != nil {
			return fmt.Errorf("reading what VMs there are: %w", err)
		}
	}
	leaving := map[string]bool{}
	for i := range machines.Items {
		if m := &machines.Items[i]; leaves(m) {
			leaving[m.Namespace+"/"+m.Spec.ClusterName] = true
		}
	}
	wanted, whole := map[string]bool{}, map[string]bool{}
	for i := range clusters.Items {
		c := &clusters.Items[i]
		key := c.Namespace + "/" + c.Name
		wanted[key] = c.DeletionTimestamp.IsZero()
		members := c.Status.ControlPlane
		whole[key] = wanted[key] && !leaving[key] && members != nil && members.Wanted == 3 && members.Ready == 3 && demoenv.ReadyOf(c).Status == "True"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, s := range b.known {
		s.wanted, s.clusterWanted = false, wanted[s.cluster]
		b.known[id] = s
	}
	for i := range vms.Items {
		vm := &vms.Items[i]
		if vm.Spec.ID == "" {
			continue
		}
		cluster := vm.Namespace + "/" + vm.Spec.ClusterName
		b.known[vm.Spec.ID] = subject{
			namespace: vm.Namespace, name: vm.Name, cluster: cluster, role: string(vm.Spec.Role),
			wanted: vm.DeletionTimestamp.IsZero(), clusterWanted: wanted[cluster],
		}
	}
	b.whole = whole
	return nil
}

// leaves tells whether a machine gives way to another, or is about to.
func leaves(m *clusterv1.Machine) bool {
	_, asked := m.Annotations[capstanv1.ReplaceAnnotation]
	_, begun := m.Annotations[clusterv1.RemediateMachineAnnotation]
	return asked || begun || !m.DeletionTimestamp.IsZero()
}

// vm is what is known of a VM.
func (b *book) vm(id string) subject {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known[id]
}

// isWhole tells whether a cluster can do without a member for good.
func (b *book) isWhole(cluster string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.whole[cluster]
}

func (b *book) rules(ours string) rules {
	b.mu.Lock()
	defer b.mu.Unlock()
	return rules{ours, maps.Clone(b.known)}
}

// talk returns all that could say why it waits.
func (b *book) talk(ctx context.Context) ([]unstructured.Unstructured, error) {
	var objects []unstructured.Unstructured
	for _, kind := range talkers {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := b.api.List(ctx, list); err != nil {
			return nil, fmt.Errorf("listing what could wait: %w", err)
		}
		objects = append(objects, list.Items...)
	}
	return objects, nil
}
