package guest

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
	kubeadmv1 "sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/types/upstreamv1beta4"

	"github.com/capstan-k8s/capstan/internal/fabric/guest/kubeapi"
)

const (
	coreDNSImage     = "coredns/coredns:v1.14.2"
	kubeadmConfigMap = "kubeadm-config"
)

// upload makes the objects that kubeadm init leaves in a new cluster. It may be
// cut off and run again.
func (cp *controlPlane) upload() error {
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{Clusters: map[string]*clientcmdapi.Cluster{
		"": {Server: "https://" + cp.config.ControlPlaneEndpoint, CertificateAuthorityData: cp.pki.ca.pem},
	}})
	if err != nil {
		return fmt.Errorf("write the kubeconfig of cluster-info: %w", err)
	}
	var objects []kubeapi.Object
	for _, name := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease} {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}}})
	}
	objects = append(objects,
		configMap(metav1.NamespaceSystem, kubeadmConfigMap, "ClusterConfiguration", cp.mem.Node.ClusterConfiguration),
		configMap(metav1.NamespaceSystem, "kubelet-config", "kubelet", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"),
		configMap(metav1.NamespacePublic, bootstrapapi.ConfigMapClusterInfo, bootstrapapi.KubeConfigKey, string(kubeconfig)),
	)
	objects = append(objects, getNodesRole()...)
	objects = append(objects, addons(cp.config)...)
	objects = append(objects, apiService(cp.bindPort()))
	for _, token := range cp.kubeadm.init.BootstrapTokens {
		if token.Token != nil {
			objects = append(objects, tokenSecret(token))
		}
	}
	for _, obj := range objects {
		r, err := kubeapi.ResourceOf(obj)
		if err != nil {
			return err
		}
		if _, err := cp.cluster.store.Create(r, obj, false); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create %s %s: %w", r.Resource, obj.GetName(), err)
		}
	}
	return nil
}

func configMap(namespace, name, key, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string]string{key: value}}
}

func getNodesRole() []kubeapi.Object {
	name := metav1.ObjectMeta{Name: "kubeadm:get-nodes"}
	return []kubeapi.Object{
		&rbacv1.ClusterRole{ObjectMeta: name, Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"nodes"}}}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: name, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.GroupKind, Name: "system:bootstrappers:kubeadm:default-node-token"}},
		},
	}
}

// addons are kube-proxy and CoreDNS, which Cluster API looks after from then on.
func addons(config *kubeadmv1.ClusterConfiguration) []kubeapi.Object {
	registry := config.ImageRepository
	if registry == "" {
		registry = "registry.k8s.io"
	}
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: name, Labels: map[string]string{"k8s-app": name}}
	}
	template := func(name, image string) (*metav1.LabelSelector, corev1.PodTemplateSpec) {
		labels := map[string]string{"k8s-app": name}
		return &metav1.LabelSelector{MatchLabels: labels}, corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: registry + "/" + image}}},
		}
	}
	var objects []kubeapi.Object
	if !config.Proxy.Disabled {
		selector, pods := template("kube-proxy", "kube-proxy:"+imageTag(config.KubernetesVersion))
		objects = append(objects, &appsv1.DaemonSet{ObjectMeta: meta("kube-proxy"), Spec: appsv1.DaemonSetSpec{Selector: selector, Template: pods}})
	}
	if !config.DNS.Disabled {
		selector, pods := template("coredns", coreDNSImage)
		pods.Spec.Volumes = []corev1.Volume{{Name: "config-volume", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "coredns"}, Items: []corev1.KeyToPath{{Key: "Corefile", Path: "Corefile"}},
		}}}}
		replicas := int32(2)
		objects = append(objects,
			configMap(metav1.NamespaceSystem, "coredns", "Corefile", ".:53 {\n    errors\n    health\n    ready\n    kubernetes cluster.local in-addr.arpa ip6.arpa\n    forward . /etc/resolv.conf\n    cache 30\n}\n"),
			&appsv1.Deployment{ObjectMeta: meta("coredns"), Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector, Template: pods}})
	}
	return objects
}

// imageTag is a version as it is written in image tags.
func imageTag(version string) string { return strings.ReplaceAll(version, "+", "_") }

func apiService(port uint16) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "kubernetes", Labels: map[string]string{"component": "apiserver", "provider": "kubernetes"}},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "https", Port: 443, TargetPort: intstr.FromInt32(int32(port))}}},
	}
}

func tokenSecret(t kubeadmv1.BootstrapToken) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: bootstrapapi.BootstrapTokenSecretPrefix + t.Token.ID},
		Type:       bootstrapapi.SecretTypeBootstrapToken,
		Data: map[string][]byte{
			bootstrapapi.BootstrapTokenIDKey:               []byte(t.Token.ID),
			bootstrapapi.BootstrapTokenSecretKey:           []byte(t.Token.Secret),
			bootstrapapi.BootstrapTokenUsageAuthentication: []byte("true"),
			bootstrapapi.BootstrapTokenUsageSigningKey:     []byte("true"),
			bootstrapapi.BootstrapTokenExtraGroupsKey:      []byte("system:bootstrappers:kubeadm:default-node-token"),
		},
	}
	if t.Expires != nil {
		s.Data[bootstrapapi.BootstrapTokenExpirationKey] = []byte(t.Expires.UTC().Format("2006-01-02T15:04:05Z07:00"))
	}
	return s
}

// staticPods are the mirror pods of a control-plane machine.
func staticPods(mem *memory, config *kubeadmv1.ClusterConfiguration) []*corev1.Pod {
	registry := config.ImageRepository
	if registry == "" {
		registry = "registry.k8s.io"
	}
	address := mem.address().String()
	images := map[string]string{
		"etcd": "etcd:3.6.8-0", "kube-apiserver": "", "kube-controller-manager": "", "kube-scheduler": "",
	}
	var pods []*corev1.Pod
	for _, component := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		image := images[component]
		if image == "" {
			image = component + ":" + imageTag(mem.Node.Version)
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: metav1.NamespaceSystem, Name: component + "-" + mem.Hostname,
				Labels: map[string]string{"component": component, "tier": "control-plane"},
				Annotations: map[string]string{
					corev1.MirrorPodAnnotationKey: mem.InstanceID, "kubernetes.io/config.source": "file",
				},
			},
			Spec: corev1.PodSpec{NodeName: mem.Hostname, HostNetwork: true, Containers: []corev1.Container{{Name: component, Image: registry + "/" + image}}},
			Status: corev1.PodStatus{
				Phase: corev1.PodRunning, HostIP: address, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}},
				Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}, {Type: corev1.ContainersReady, Status: corev1.ConditionTrue}},
				ContainerStatuses: []corev1.ContainerStatus{{Name: component, Ready: true, Image: registry + "/" + image}},
			},
		}
		if component == "etcd" {
			pod.Annotations[clientURLs] = "https://" + net.JoinHostPort(address, strconv.Itoa(etcdPort))
		}
		pods = append(pods, pod)
	}
	return pods
}
