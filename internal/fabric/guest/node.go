package guest

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	kubeadmv1 "sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/types/upstreamv1beta4"
)

const controlPlaneLabel = "node-role.kubernetes.io/control-plane"

// node is the Node as the kubelet registers it.
func (g *Guest) node(k kubelet) (*corev1.Node, error) {
	labels, err := nodeLabels(k.options)
	if err != nil {
		return nil, err
	}
	labels[corev1.LabelHostname] = k.mem.Hostname
	labels[corev1.LabelArchStable] = "amd64"
	for key, v := range k.labels {
		labels[key] = v
	}
	address := k.mem.address().String()
	taints := append(slices.Clone(k.options.Taints), k.taints...)
	if argument(k.options, "cloud-provider") == "external" {
		taints = append(taints, corev1.Taint{Key: "node.cloudprovider.kubernetes.io/uninitialized", Value: "true", Effect: corev1.TaintEffectNoSchedule})
	}
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("4Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: k.mem.Hostname, Labels: labels,
			Annotations: map[string]string{"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
		},
		Spec: corev1.NodeSpec{ProviderID: argument(k.options, "provider-id"), Taints: taints},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			Conditions: g.conditions(),
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: address}, {Type: corev1.NodeHostName, Address: k.mem.Hostname},
			},
			NodeInfo: corev1.NodeSystemInfo{
				MachineID: strings.ReplaceAll(g.machine.GUID, "-", ""), SystemUUID: strings.ToLower(g.machine.GUID),
				ContainerRuntimeVersion: "containerd://2.4.2", KubeletVersion: k.mem.Node.Version, Architecture: "amd64",
			},
		},
	}
	g.system.describe(node)
	return node, nil
}

func (g *Guest) conditions() []corev1.NodeCondition {
	now := metav1.NewTime(g.runtime.Clock.Now())
	condition := func(t corev1.NodeConditionType, s corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: t, Status: s, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return []corev1.NodeCondition{
		condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"),
	}
}

// argument returns the last value of a kubelet argument.
func argument(o kubeadmv1.NodeRegistrationOptions, name string) string {
	value := ""
	for _, a := range o.KubeletExtraArgs {
		if a.Name == name {
			value = a.Value
		}
	}
	return value
}

// nodeLabels returns the labels that the kubelet is told to register with. It
// refuses those of Kubernetes' own domains that a node may not give itself.
func nodeLabels(o kubeadmv1.NodeRegistrationOptions) (map[string]string, error) {
	labels := map[string]string{}
	for _, pair := range strings.Split(argument(o, "node-labels"), ",") {
		if pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		if msgs := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); !ok || len(msgs) > 0 {
			return nil, fmt.Errorf("--node-labels: %q is not a label", pair)
		}
		if !nodeMayLabel(key) {
			return nil, fmt.Errorf("--node-labels: unknown 'kubernetes.io' or 'k8s.io' label %q", key)
		}
		labels[key] = value
	}
	return labels, nil
}

func nodeMayLabel(key string) bool {
	prefix, _, ok := strings.Cut(key, "/")
	if !ok {
		return true
	}
	own := func(domain string) bool { return prefix == domain || strings.HasSuffix(prefix, "."+domain) }
	if !own("kubernetes.io") && !own("k8s.io") {
		return true
	}
	for _, allowed := range []string{"kubelet.kubernetes.io", "node.kubernetes.io"} {
		if own(allowed) {
			return true
		}
	}
	return slices.Contains([]string{
		corev1.LabelHostname, corev1.LabelOSStable, corev1.LabelArchStable, corev1.LabelInstanceTypeStable,
		corev1.LabelTopologyRegion, corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaRegion, corev1.LabelFailureDomainBetaZone,
	}, key)
}
