package story

import (
	"fmt"
	"strings"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// counted are the kinds of which the outcome counts the objects in the story's
// namespace.
var counted = []schema.GroupVersionKind{
	workloadClusters, nodePools, virtualMachines,
	capstanv1.GroupVersion.WithKind("LoadBalancer"), capstanv1.GroupVersion.WithKind("AddressReservation"),
	infrav1.GroupVersion.WithKind("HyperVCluster"), infrav1.GroupVersion.WithKind("HyperVMachine"),
	infrav1.GroupVersion.WithKind("HyperVMachineTemplate"),
	clusterv1.GroupVersion.WithKind("Cluster"), clusterv1.GroupVersion.WithKind("Machine"),
	clusterv1.GroupVersion.WithKind("MachineDeployment"), clusterv1.GroupVersion.WithKind("MachineSet"),
	clusterv1.GroupVersion.WithKind("MachineHealthCheck"), controlplanev1.GroupVersion.WithKind("KubeadmControlPlane"),
	bootstrapv1.GroupVersion.WithKind("KubeadmConfig"), bootstrapv1.GroupVersion.WithKind("KubeadmConfigTemplate"),
	ipamv1.GroupVersion.WithKind("IPAddressClaim"), ipamv1.GroupVersion.WithKind("IPAddress"),
	{Version: "v1", Kind: "Secret"},
}

// balancers is how many load-balancer VMs a cluster has that asks for no number.
const balancers = 2

// expected is what there is of a cluster with so many workers, whatever happened
// on the way.
func expected(workers int) map[string]int {
	machines := workers + 1
	vms := machines + balancers
	return map[string]int{
		"running VM of shop-control-plane": 1, "running VM of shop-linux": workers, "running VM of shop-lb": balancers,
		"VHDX": vms, "claim": vms, "host that is Ready": hosts,

		"WorkloadCluster": 1, "NodePool": 1, "LoadBalancer": 1, "VirtualMachine": vms,
		"HyperVCluster": 1, "HyperVMachine": machines, "HyperVMachineTemplate": 2,
		"Cluster": 1, "Machine": machines, "MachineDeployment": 1, "MachineSet": 1, "MachineHealthCheck": 2,
		"KubeadmControlPlane": 1, "KubeadmConfig": machines, "KubeadmConfigTemplate": 1,
		// Each VM has an address, and the VIP is one, which has a VRID, too.
		"IPAddressClaim": vms + 1, "IPAddress": vms + 1, "AddressReservation": vms + 2,
		// Four of the cluster's CAs and keys, its kubeconfig, and what the LB's agents are
		// known by; the rest is bootstrap data.
		"Secret": 5 + balancers + machines,
	}
}

// outcome counts what there is, on the hosts and in the management cluster.
func (s *teller) outcome(g Gomega) map[string]int {
	counts := map[string]int{}
	world, err := s.Env.World(s.Ctx)
	g.Expect(err).NotTo(HaveOccurred())
	for _, site := range world.Sites {
		for i := range site.VMs {
			counts[describe(&site.VMs[i])]++
		}
		for i := range site.Files {
			if file := &site.Files[i]; file.Image == nil {
				counts[string(file.Kind)]++
			}
		}
		counts["claim"] += len(site.Roles)
	}
	all := &capstanv1.HyperVHostList{}
	g.Expect(s.API.List(s.Ctx, all)).To(Succeed())
	for i := range all.Items {
		if demoenv.ReadyOf(&all.Items[i]).Status == metav1.ConditionTrue {
			counts["host that is Ready"]++
		}
	}
	for _, kind := range counted {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		options := []client.ListOption{client.InNamespace(metav1.NamespaceDefault)}
		if kind.Kind == "AddressReservation" {
			options = nil
		}
		g.Expect(s.API.List(s.Ctx, list, options...)).To(Succeed(), kind.Kind)
		for i := range list.Items {
			if abandoned(kind.Kind, list.Items[i].OwnerReferences) {
				s.abandoned[kind.Kind+" "+list.Items[i].Name] = true
				continue
			}
			counts[kind.Kind]++
		}
	}
	return counts
}

// abandoned tells whether an object is half of a machine that the control plane's
// controller was killed while making. It makes HyperVMachine and KubeadmConfig
// first, and when it runs again it makes others. Cluster API cleans up after a
// MachineSet that was interrupted so, but not after a KubeadmControlPlane: there
// they stay until that is deleted. They are not doubled VMs, for a HyperVMachine
// has none without its Machine, and the auditor sees whether they go in the end.
//
// Source: sigs.k8s.io/cluster-api v1.14.2, cleanupOrphanedBootstrapConfigsInfraMachines
// of the MachineSet controller; kubeadmcontrolplane/helpers.go has no such thing.
func abandoned(kind string, owners []metav1.OwnerReference) bool {
	switch kind {
	case "HyperVMachine", "KubeadmConfig":
		return len(owners) == 1 && owners[0].Kind == "KubeadmControlPlane"
	default:
		return false
	}
}

// describe says what a VM is, the more the less it is what it should be.
func describe(vm *fabricapi.VM) string {
	what := fmt.Sprintf("VM %s (%s)", vm.Name, vm.State)
	for _, of := range []string{"shop-control-plane", "shop-linux", "shop-lb"} {
		if strings.HasPrefix(vm.Name, of+"-") && vm.State == fabricapi.Running && vm.Heartbeat == fabricapi.HeartbeatOK {
			what = "running VM of " + of
		}
	}
	if vm.ISO != nil {
		what += " that has its seed still"
	}
	return what
}
