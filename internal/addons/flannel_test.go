package addons_test

import (
	"encoding/json"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addons"
)

// flannel returns the configuration and the daemons.
func flannel(g *WithT, settings *capstanv1.FlannelSettings) (map[string]any, *appsv1.DaemonSet) {
	objects, err := addons.Flannel(settings, "10.9.0.0/16")
	g.Expect(err).NotTo(HaveOccurred())
	config, daemons := map[string]any{}, &appsv1.DaemonSet{}
	for _, o := range objects {
		switch o.GetKind() {
		case "ConfigMap":
			typed := &corev1.ConfigMap{}
			g.Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, typed)).To(Succeed())
			g.Expect(json.Unmarshal([]byte(typed.Data["net-conf.json"]), &config)).To(Succeed())
			g.Expect(json.Valid([]byte(typed.Data["cni-conf.json"]))).To(BeTrue())
		case "DaemonSet":
			g.Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, daemons)).To(Succeed())
		}
	}
	return config, daemons
}

func TestFlannelRoutesOnAFlatNetworkByDefault(t *testing.T) {
	g := NewWithT(t)
	config, daemons := flannel(g, nil)
	g.Expect(config).To(HaveKeyWithValue("Network", "10.9.0.0/16"))
	g.Expect(config["Backend"]).To(Equal(map[string]any{"Type": "host-gw"}))
	pod := daemons.Spec.Template.Spec
	g.Expect(pod.Containers[0].Image).To(Equal("ghcr.io/flannel-io/flannel:v0.28.4"))
	g.Expect(pod.Containers[0].Args).To(Equal([]string{"--kube-subnet-mgr", "--ip-masq"}))
	g.Expect(pod.NodeSelector).To(HaveKeyWithValue(corev1.LabelOSStable, "linux"))
	g.Expect(pod.Tolerations).To(ConsistOf(corev1.Toleration{Operator: corev1.TolerationOpExists}))
}

func TestFlannelIsAsItsSettingsSay(t *testing.T) {
	g := NewWithT(t)
	config, daemons := flannel(g, &capstanv1.FlannelSettings{
		Backend: capstanv1.FlannelVXLAN, Masquerade: capstanv1.MasqueradeByBridge, ImageRepository: "registry.example.org/net",
	})
	g.Expect(config["Backend"]).To(Equal(map[string]any{"Type": "vxlan"}))
	pod := daemons.Spec.Template.Spec
	g.Expect(pod.Containers[0].Args).To(ConsistOf("--kube-subnet-mgr", "--ip-masq=false", "--iptables-forward-rules=false"))
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		g.Expect(c.Image).To(HavePrefix("registry.example.org/net/flannel"))
	}
}

func TestFlannelNeedsNoShell(t *testing.T) {
	g := NewWithT(t)
	_, daemons := flannel(g, nil)
	for _, c := range daemons.Spec.Template.Spec.InitContainers {
		g.Expect(c.Command).To(Equal([]string{"cp"}))
	}
}

func TestFlannelStartsAnewWithAnotherConfiguration(t *testing.T) {
	g := NewWithT(t)
	_, routed := flannel(g, nil)
	_, again := flannel(g, &capstanv1.FlannelSettings{Backend: capstanv1.FlannelHostGateway})
	_, tunnelled := flannel(g, &capstanv1.FlannelSettings{Backend: capstanv1.FlannelVXLAN})
	g.Expect(again.Spec.Template).To(Equal(routed.Spec.Template))
	g.Expect(tunnelled.Spec.Template.Annotations).NotTo(Equal(routed.Spec.Template.Annotations))
}
