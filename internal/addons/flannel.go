package addons

import (
	"cmp"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// The images of Flannel. Whoever builds node images without a registry preloads images
// of these names; they hold flanneld, the plugin, and a program cp.
const (
	flannelRepository  = "ghcr.io/flannel-io"
	flannelImage       = "flannel:v0.28.4"
	flannelPluginImage = "flannel-cni-plugin:v1.9.1-flannel1"
)

const (
	flannelNamespace = "kube-flannel"
	flannelName      = "flannel"
	flannelConfig    = "kube-flannel-cfg"
	flannelDaemons   = "kube-flannel-ds"
)

// FlannelImages returns the images that Flannel is made of.
func FlannelImages(settings *capstanv1.FlannelSettings) (daemon, plugin string) {
	repository := flannelRepository
	if settings != nil {
		repository = cmp.Or(settings.ImageRepository, repository)
	}
	return repository + "/" + flannelImage, repository + "/" + flannelPluginImage
}

// Flannel returns the manifests of Flannel for the pods of a network, after upstream's
// kube-flannel.yml.
func Flannel(settings *capstanv1.FlannelSettings, podCIDR string) ([]*unstructured.Unstructured, error) {
	if settings == nil {
		settings = &capstanv1.FlannelSettings{}
	}
	network, err := flannelNetwork(settings, podCIDR)
	if err != nil {
		return nil, err
	}
	labels := map[string]string{"k8s-app": flannelName}
	name := metav1.ObjectMeta{Name: flannelName, Labels: labels}
	typed := []runtime.Object{
		&corev1.Namespace{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: flannelNamespace, Labels: map[string]string{
				"k8s-app": flannelName, "pod-security.kubernetes.io/enforce": "privileged",
			}},
		},
		&corev1.ServiceAccount{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
			ObjectMeta: metav1.ObjectMeta{Namespace: flannelNamespace, Name: flannelName, Labels: labels},
		},
		&corev1.ConfigMap{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
			ObjectMeta: metav1.ObjectMeta{Namespace: flannelNamespace, Name: flannelConfig, Labels: labels},
			Data:       map[string]string{"cni-conf.json": flannelPlugins, "net-conf.json": network},
		},
		&rbacv1.ClusterRole{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
			ObjectMeta: name,
			Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}},
				{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "list", "watch"}},
				{APIGroups: []string{""}, Resources: []string{"nodes/status"}, Verbs: []string{"patch"}},
			},
		},
		&rbacv1.ClusterRoleBinding{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
			ObjectMeta: name,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: flannelName},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: flannelNamespace, Name: flannelName}},
		},
		flannelDaemonSet(settings, network),
	}
	objects := make([]*unstructured.Unstructured, 0, len(typed))
	for _, object := range typed {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return nil, fmt.Errorf("making the manifests of Flannel: %w", err)
		}
		delete(content, "status")
		u := &unstructured.Unstructured{Object: content}
		unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
		unstructured.RemoveNestedField(u.Object, "spec", "template", "metadata", "creationTimestamp")
		objects = append(objects, u)
	}
	return objects, nil
}

// flannelPlugins is the chain of plugins that the nodes' container runtime calls.
const flannelPlugins = `{
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

func flannelNetwork(settings *capstanv1.FlannelSettings, podCIDR string) (string, error) {
	backend := "host-gw"
	if settings.Backend == capstanv1.FlannelVXLAN {
		backend = "vxlan"
	}
	text, err := json.Marshal(map[string]any{
		"Network": podCIDR, "EnableNFTables": false, "Backend": map[string]any{"Type": backend},
	})
	if err != nil {
		return "", fmt.Errorf("making the configuration of Flannel: %w", err)
	}
	return string(text), nil
}
