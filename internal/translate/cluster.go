package translate

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// InEffect is what a WorkloadCluster comes down to at the moment. Its spec may be
// ahead of that.
type InEffect struct {
	// Version is the one that the control plane has, or is brought to.
	Version string
	// ControlPlaneImage and LoadBalancerImage are names of VMImages.
	ControlPlaneImage, LoadBalancerImage string
}

// ControlPlaneName returns the name of the KubeadmControlPlane of a
// WorkloadCluster.
func ControlPlaneName(cluster string) string { return cluster + "-control-plane" }

// Cluster returns the Cluster of a WorkloadCluster.
func Cluster(wlc *capstanv1.WorkloadCluster) *clusterv1.Cluster {
	cluster := &clusterv1.Cluster{
		TypeMeta:   typeMeta(clusterv1.GroupVersion, "Cluster"),
		ObjectMeta: meta(wlc, wlc.Name, wlc.Name, nil),
		Spec: clusterv1.ClusterSpec{
			ClusterNetwork: clusterv1.ClusterNetwork{
				APIServerPort: wlc.Spec.Endpoint.Port,
				Pods:          clusterv1.NetworkRanges{CIDRBlocks: wlc.Spec.ClusterNetwork.PodCIDRs},
				Services:      clusterv1.NetworkRanges{CIDRBlocks: wlc.Spec.ClusterNetwork.ServiceCIDRs},
				ServiceDomain: wlc.Spec.ClusterNetwork.ServiceDomain,
			},
			ControlPlaneRef: clusterv1.ContractVersionedObjectReference{
				APIGroup: controlplanev1.GroupVersion.Group, Kind: "KubeadmControlPlane", Name: ControlPlaneName(wlc.Name),
			},
			InfrastructureRef: clusterv1.ContractVersionedObjectReference{
				APIGroup: infrav1.GroupVersion.Group, Kind: "HyperVCluster", Name: wlc.Name,
			},
		},
	}
	cluster.OwnerReferences = []metav1.OwnerReference{controller(wlc, "WorkloadCluster")}
	// Whoever else pauses the Cluster goes on owning the field.
	if wlc.Spec.Paused {
		cluster.Spec.Paused = ptr.To(true)
	}
	return cluster
}

// HyperVCluster returns the infrastructure of a WorkloadCluster.
func HyperVCluster(wlc *capstanv1.WorkloadCluster, now InEffect) *infrav1.HyperVCluster {
	settings := *wlc.Spec.LoadBalancer.DeepCopy()
	settings.Replicas = ptr.To(loadBalancerReplicas(wlc))
	settings.Image = now.LoadBalancerImage
	return &infrav1.HyperVCluster{
		TypeMeta:   typeMeta(infrav1.GroupVersion, "HyperVCluster"),
		ObjectMeta: owned(meta(wlc, wlc.Name, wlc.Name, nil), wlc, "WorkloadCluster"),
		Spec: infrav1.HyperVClusterSpec{
			LogicalNetwork: wlc.Spec.LogicalNetwork,
			LoadBalancer: &infrav1.LoadBalancer{
				LoadBalancerSettings: settings,
				Port:                 wlc.Spec.Endpoint.Port,
				GuestSettings:        wlc.Spec.GuestSettings,
			},
		},
	}
}

// loadBalancerReplicas is 2 unless told otherwise, whatever is behind it: the VIP
// is also that of Services, and one that goes away with one host or one patched VM
// must be somebody's decision.
func loadBalancerReplicas(wlc *capstanv1.WorkloadCluster) int32 {
	return ptr.Deref(wlc.Spec.LoadBalancer.Replicas, 2)
}

// ControlPlane returns the KubeadmControlPlane of a WorkloadCluster and the
// template of its machines, which is named by its content.
func ControlPlane(wlc *capstanv1.WorkloadCluster, now InEffect) (*controlplanev1.KubeadmControlPlane, *infrav1.HyperVMachineTemplate) {
	name := ControlPlaneName(wlc.Name)
	template := machineTemplate(wlc, name, capstanv1.OSLinux, wlc.Spec.ControlPlane.Size, now.ControlPlaneImage, wlc.Spec.ControlPlane.Placement)
	template.OwnerReferences = []metav1.OwnerReference{owner(wlc, "WorkloadCluster")}

	kcp := &controlplanev1.KubeadmControlPlane{
		TypeMeta:   typeMeta(controlplanev1.GroupVersion, "KubeadmControlPlane"),
		ObjectMeta: owned(meta(wlc, name, wlc.Name, nil), wlc, "WorkloadCluster"),
		Spec: controlplanev1.KubeadmControlPlaneSpec{
			Replicas: wlc.Spec.ControlPlane.Replicas,
			Version:  now.Version,
			MachineTemplate: controlplanev1.KubeadmControlPlaneMachineTemplate{
				ObjectMeta: clusterv1.ObjectMeta{Labels: map[string]string{capstanv1.WorkloadClusterLabel: wlc.Name}},
				Spec: controlplanev1.KubeadmControlPlaneMachineTemplateSpec{
					InfrastructureRef: clusterv1.ContractVersionedObjectReference{
						APIGroup: infrav1.GroupVersion.Group, Kind: "HyperVMachineTemplate", Name: template.Name,
					},
					// Unlimited by default, which lets one stuck pod hold up the
					// repair of a control plane for good.
					Deletion: controlplanev1.KubeadmControlPlaneMachineTemplateDeletionSpec{
						NodeDrainTimeoutSeconds:        ptr.To[int32](600),
						NodeVolumeDetachTimeoutSeconds: ptr.To[int32](300),
						NodeDeletionTimeoutSeconds:     ptr.To[int32](60),
					},
				},
			},
			KubeadmConfigSpec: controlPlaneConfig(wlc),
		},
	}
	return kcp, template
}

func controlPlaneConfig(wlc *capstanv1.WorkloadCluster) bootstrapv1.KubeadmConfigSpec {
	registration := nodeRegistration(nil, nil)
	port := wlc.Spec.Endpoint.Port
	spec := bootstrapv1.KubeadmConfigSpec{
		Format: bootstrapv1.CloudConfig,
		// Stronger than the RSA-2048 that kubeadm and Cluster API take by default, and
		// made in no time. Every Kubernetes version that is supported knows it.
		ClusterConfiguration: bootstrapv1.ClusterConfiguration{EncryptionAlgorithm: bootstrapv1.EncryptionAlgorithmECDSAP256},
		InitConfiguration: bootstrapv1.InitConfiguration{
			NodeRegistration: registration,
			LocalAPIEndpoint: bootstrapv1.APIEndpoint{BindPort: port},
		},
		JoinConfiguration: bootstrapv1.JoinConfiguration{
			NodeRegistration: registration,
			ControlPlane:     &bootstrapv1.JoinControlPlane{LocalAPIEndpoint: bootstrapv1.APIEndpoint{BindPort: port}},
		},
	}
	if name := wlc.Spec.Endpoint.DNSName; name != "" {
		spec.ClusterConfiguration.APIServer.CertSANs = []string{name}
	}
	return spec
}

// nodeRegistration tells kubelet who it is. cloud-init fills in the host name and
// the identity that the seed's meta-data bears.
func nodeRegistration(labels map[string]string, taints []corev1.Taint) bootstrapv1.NodeRegistrationOptions {
	options := bootstrapv1.NodeRegistrationOptions{
		Name: "{{ ds.meta_data.local_hostname }}",
		KubeletExtraArgs: []bootstrapv1.Arg{
			{Name: "provider-id", Value: ptr.To(capstanv1.ProviderIDScheme + "{{ ds.meta_data.instance_id }}")},
		},
	}
	if len(labels) > 0 {
		options.KubeletExtraArgs = append(options.KubeletExtraArgs, bootstrapv1.Arg{Name: "node-labels", Value: ptr.To(joinLabels(labels))})
	}
	if len(taints) > 0 {
		options.Taints = &taints
	}
	return options
}
