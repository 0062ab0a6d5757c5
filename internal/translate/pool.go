package translate

import (
	"maps"
	"math"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// PoolObjects are what stands for a NodePool. A template is nil where the nodes
// shall stay made from another.
type PoolObjects struct {
	Machines        *clusterv1.MachineDeployment
	HealthCheck     *clusterv1.MachineHealthCheck
	BootstrapConfig *bootstrapv1.KubeadmConfigTemplate
	MachineTemplate *infrav1.HyperVMachineTemplate
}

// NodeImage is the VMImage that nodes boot.
type NodeImage struct {
	Name string
	// Size is what a boot disk of it has at least.
	Size resource.Quantity
}

// NodePool returns what stands for a NodePool of a WorkloadCluster, whose nodes
// shall have version and boot image. Both templates are
// named by what a node is made from: a change of that makes a new template, and
// the MachineDeployment rolls to it. Labels are no part of the name, since
// Cluster API brings them to nodes that exist.
func NodePool(wlc *capstanv1.WorkloadCluster, pool *capstanv1.NodePool, version string, image NodeImage) PoolObjects {
	size := nodeSize(wlc, pool, image)
	template := machineTemplate(wlc, pool.Name, pool.Spec.OS, size, image.Name, pool.Spec.Placement)
	config := poolConfig(wlc, pool)
	for _, m := range []*metav1.ObjectMeta{&template.ObjectMeta, &config.ObjectMeta} {
		m.Labels[capstanv1.NodePoolLabel] = pool.Name
		m.OwnerReferences = []metav1.OwnerReference{owner(pool, "NodePool")}
	}
	machines := machineDeployment(wlc, pool, version, template.Name, config.Name)
	machines.Annotations = autoscalingAnnotations(pool, &size, nodeTaints(pool))
	return PoolObjects{
		Machines:        machines,
		HealthCheck:     poolHealthCheck(wlc, pool),
		BootstrapConfig: config,
		MachineTemplate: template,
	}
}

// nodeSize is the size of a pool's nodes. Where nobody chose it for this pool, its
// image fits the boot disk: images of Windows are larger than the default, which is
// the same for all pools of a cluster.
func nodeSize(wlc *capstanv1.WorkloadCluster, pool *capstanv1.NodePool, image NodeImage) capstanv1.MachineSize {
	if pool.Spec.Size != nil {
		return *pool.Spec.Size
	}
	size := wlc.Spec.NodePoolDefaults.Size
	if size.BootDisk.Cmp(image.Size) < 0 {
		size.BootDisk = image.Size
	}
	return size
}

// MachineLabels are the labels that the machines of a NodePool bear and are
// found by.
func MachineLabels(pool *capstanv1.NodePool) map[string]string {
	return map[string]string{
		clusterv1.ClusterNameLabel:     pool.Spec.ClusterName,
		capstanv1.WorkloadClusterLabel: pool.Spec.ClusterName,
		capstanv1.NodePoolLabel:        pool.Name,
	}
}

func machineDeployment(wlc *capstanv1.WorkloadCluster, pool *capstanv1.NodePool, version, template, config string) *clusterv1.MachineDeployment {
	rollout := pool.Spec.Rollout
	md := &clusterv1.MachineDeployment{
		TypeMeta:   typeMeta(clusterv1.GroupVersion, "MachineDeployment"),
		ObjectMeta: meta(wlc, pool.Name, wlc.Name, pool),
		Spec: clusterv1.MachineDeploymentSpec{
			ClusterName:   wlc.Name,
			Replicas:      replicas(pool),
			Paused:        paused(pool),
			Selector:      metav1.LabelSelector{MatchLabels: MachineLabels(pool)},
			MachineNaming: machineNaming(pool),
			Rollout: clusterv1.MachineDeploymentRolloutSpec{Strategy: clusterv1.MachineDeploymentRolloutStrategy{
				Type: clusterv1.RollingUpdateMachineDeploymentStrategyType,
				RollingUpdate: clusterv1.MachineDeploymentRolloutStrategyRollingUpdate{
					MaxSurge: rollout.MaxSurge, MaxUnavailable: rollout.MaxUnavailable,
				},
			}},
			Remediation: clusterv1.MachineDeploymentRemediationSpec{MaxInFlight: ptr.To(intstr.FromString(mostRepaired))},
			Template: clusterv1.MachineTemplateSpec{
				ObjectMeta: clusterv1.ObjectMeta{Labels: templateLabels(pool), Annotations: maps.Clone(pool.Spec.Annotations)},
				Spec: clusterv1.MachineSpec{
					ClusterName: wlc.Name,
					Version:     version,
					Bootstrap: clusterv1.Bootstrap{ConfigRef: clusterv1.ContractVersionedObjectReference{
						APIGroup: bootstrapv1.GroupVersion.Group, Kind: "KubeadmConfigTemplate", Name: config,
					}},
					InfrastructureRef: clusterv1.ContractVersionedObjectReference{
						APIGroup: infrav1.GroupVersion.Group, Kind: "HyperVMachineTemplate", Name: template,
					},
					Deletion: clusterv1.MachineDeletionSpec{
						NodeDrainTimeoutSeconds:        seconds(rollout.DrainTimeout),
						NodeVolumeDetachTimeoutSeconds: seconds(rollout.VolumeDetachTimeout),
						NodeDeletionTimeoutSeconds:     seconds(rollout.DeletionTimeout),
					},
				},
			},
		},
	}
	md.OwnerReferences = []metav1.OwnerReference{controller(pool, "NodePool")}
	return md
}

// replicas is nil where the cluster autoscaler decides: what is not applied stays
// as it is.
func replicas(pool *capstanv1.NodePool) *int32 {
	if pool.Spec.Autoscaling != nil {
		return nil
	}
	return ptr.To(pool.WantedReplicas())
}

func paused(pool *capstanv1.NodePool) *bool {
	if !pool.Spec.Rollout.Paused {
		return nil
	}
	return ptr.To(true)
}

func poolConfig(wlc *capstanv1.WorkloadCluster, pool *capstanv1.NodePool) *bootstrapv1.KubeadmConfigTemplate {
	config := &bootstrapv1.KubeadmConfigTemplate{
		TypeMeta: typeMeta(bootstrapv1.GroupVersion, "KubeadmConfigTemplate"),
		Spec: bootstrapv1.KubeadmConfigTemplateSpec{Template: bootstrapv1.KubeadmConfigTemplateResource{
			Spec: bootstrapv1.KubeadmConfigSpec{
				Format:              bootstrapv1.CloudConfig,
				JoinConfiguration:   bootstrapv1.JoinConfiguration{NodeRegistration: poolRegistration(pool, nil)},
				PostKubeadmCommands: postKubeadmCommands(pool),
			},
		}},
	}
	config.ObjectMeta = meta(wlc, pool.Name+"-"+contentHash(config.Spec), wlc.Name, pool)
	config.Spec.Template.Spec.JoinConfiguration.NodeRegistration = poolRegistration(pool, kubeletLabels(pool))
	return config
}

// joinLabels writes labels as kubelet's flag takes them, in a fixed order.
func joinLabels(labels map[string]string) string {
	pairs := make([]string, 0, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, k+"="+labels[k])
	}
	return strings.Join(pairs, ",")
}

// seconds rounds up, and is never 0, which is unlimited.
func seconds(d metav1.Duration) *int32 {
	whole := int64(math.Ceil(d.Seconds()))
	return ptr.To(int32(min(max(whole, 1), math.MaxInt32)))
}
