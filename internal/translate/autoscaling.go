package translate

import (
	"maps"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// What the cluster autoscaler reads of a node group that has no node to look at.
// Source: Cluster API, docs/proposals/20210310-opt-in-autoscaling-from-zero.md.
const (
	capacityPrefix   = "capacity.cluster-autoscaler.kubernetes.io/"
	cpuAnnotation    = capacityPrefix + "cpu"
	memoryAnnotation = capacityPrefix + "memory"
	diskAnnotation   = capacityPrefix + "ephemeral-disk"
	labelsAnnotation = capacityPrefix + "labels"
	taintsAnnotation = capacityPrefix + "taints"
)

// autoscalingAnnotations tell the cluster autoscaler what it may do with a pool,
// and what a node of it would be. Without autoscaling there are none.
func autoscalingAnnotations(pool *capstanv1.NodePool, size *capstanv1.MachineSize, taints []corev1.Taint) map[string]string {
	bounds := pool.Spec.Autoscaling
	if bounds == nil {
		return nil
	}
	labels := nodeLabels(pool)
	maps.Copy(labels, platformLabels(pool.Spec.OS))
	annotations := map[string]string{
		clusterv1.AutoscalerMinSizeAnnotation: strconv.Itoa(int(bounds.Min)),
		clusterv1.AutoscalerMaxSizeAnnotation: strconv.Itoa(int(bounds.Max)),
		cpuAnnotation:                         strconv.Itoa(int(size.CPUs)),
		memoryAnnotation:                      size.Memory.String(),
		diskAnnotation:                        size.BootDisk.String(),
		labelsAnnotation:                      joinLabels(labels),
	}
	if len(taints) > 0 {
		annotations[taintsAnnotation] = joinTaints(taints)
	}
	return annotations
}

// platformLabels are those that every kubelet gives its node. An autoscaler takes
// a node for a Linux one that it is not told about.
func platformLabels(os capstanv1.OS) map[string]string {
	return map[string]string{
		corev1.LabelOSStable:   strings.ToLower(string(os)),
		corev1.LabelArchStable: Architecture,
	}
}

// Architecture is that of every node: Hyper-V hosts guests of its own only, and
// Windows Server is amd64.
const Architecture = "amd64"

func joinTaints(taints []corev1.Taint) string {
	parts := make([]string, 0, len(taints))
	for _, t := range taints {
		parts = append(parts, t.Key+"="+t.Value+":"+string(t.Effect))
	}
	return strings.Join(parts, ",")
}
