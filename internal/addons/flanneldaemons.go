package addons

import (
	"crypto/sha256"
	"encoding/hex"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// configAnnotation on Flannel's pods is a hash of their configuration, which they read
// only when they start.
const configAnnotation = "capstan.dev/config-hash"

// flannelArgs returns the arguments of flanneld.
//
// Source: flannel v0.28.4, main.go. Without --ip-masq and with
// --iptables-forward-rules=false it never runs iptables, as long as EnableNFTables is
// false: then Init asks for nothing, and CleanUp, of nftables, only logs that there is
// none. The plugin then has the bridge hide addresses (FLANNEL_IPMASQ).
func flannelArgs(settings *capstanv1.FlannelSettings) []string {
	if settings.Masquerade == capstanv1.MasqueradeByBridge {
		return []string{"--kube-subnet-mgr", "--ip-masq=false", "--iptables-forward-rules=false"}
	}
	return []string{"--kube-subnet-mgr", "--ip-masq"}
}

// flannelDaemonSet runs flanneld on every Linux node. Its first containers put plugin
// and configuration on the node; they need nothing of their images but a program cp.
func flannelDaemonSet(settings *capstanv1.FlannelSettings, network string) *appsv1.DaemonSet {
	daemon, plugin := FlannelImages(settings)
	sum := sha256.Sum256([]byte(flannelPlugins + network))
	labels := map[string]string{"app": flannelName, "tier": "node"}
	return &appsv1.DaemonSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "DaemonSet"},
		ObjectMeta: metav1.ObjectMeta{Namespace: flannelNamespace, Name: flannelDaemons, Labels: map[string]string{"k8s-app": flannelName}},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": flannelName}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{configAnnotation: hex.EncodeToString(sum[:8])}},
				Spec: corev1.PodSpec{
					NodeSelector:       map[string]string{corev1.LabelOSStable: "linux"},
					HostNetwork:        true,
					PriorityClassName:  "system-node-critical",
					ServiceAccountName: flannelName,
					Tolerations:        []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
					InitContainers: []corev1.Container{
						{
							Name: "install-cni-plugin", Image: plugin, Command: []string{"cp"},
							Args:         []string{"-f", "/flannel", "/opt/cni/bin/flannel"},
							VolumeMounts: []corev1.VolumeMount{{Name: "cni-plugin", MountPath: "/opt/cni/bin"}},
						},
						{
							Name: "install-cni", Image: daemon, Command: []string{"cp"},
							Args:         []string{"-f", "/etc/kube-flannel/cni-conf.json", "/etc/cni/net.d/10-flannel.conflist"},
							VolumeMounts: []corev1.VolumeMount{{Name: "cni", MountPath: "/etc/cni/net.d"}, {Name: "config", MountPath: "/etc/kube-flannel"}},
						},
					},
					Containers: []corev1.Container{{
						Name: "kube-flannel", Image: daemon, Command: []string{"/opt/bin/flanneld"}, Args: flannelArgs(settings),
						Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
							corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("50Mi"),
						}},
						SecurityContext: &corev1.SecurityContext{
							Privileged:   new(bool),
							Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN", "NET_RAW"}},
						},
						Env: []corev1.EnvVar{
							fromField("POD_NAME", "metadata.name"), fromField("POD_NAMESPACE", "metadata.namespace"),
							{Name: "EVENT_QUEUE_DEPTH", Value: "5000"}, {Name: "CONT_WHEN_CACHE_NOT_READY", Value: "false"},
						},
						VolumeMounts: []corev1.VolumeMount{
							{Name: "run", MountPath: "/run/flannel"}, {Name: "config", MountPath: "/etc/kube-flannel"},
							{Name: "xtables-lock", MountPath: "/run/xtables.lock"},
						},
					}},
					Volumes: []corev1.Volume{
						onNode("run", "/run/flannel", corev1.HostPathDirectoryOrCreate),
						onNode("cni-plugin", "/opt/cni/bin", corev1.HostPathDirectoryOrCreate),
						onNode("cni", "/etc/cni/net.d", corev1.HostPathDirectoryOrCreate),
						onNode("xtables-lock", "/run/xtables.lock", corev1.HostPathFileOrCreate),
						{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
							LocalObjectReference: corev1.LocalObjectReference{Name: flannelConfig},
						}}},
					},
				},
			},
		},
	}
}

func fromField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
}

func onNode(name, path string, kind corev1.HostPathType) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}}}
}
