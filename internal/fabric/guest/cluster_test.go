package guest_test

import (
	"context"
	"crypto/x509"
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
)

var clientAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}

func TestAControlPlaneAndAWorkerBecomeReady(t *testing.T) {
	for name, algorithm := range map[string]bootstrapv1.EncryptionAlgorithmType{
		"with the keys of a WorkloadCluster": bootstrapv1.EncryptionAlgorithmECDSAP256,
		"with the keys of a plain Cluster":   "",
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t)
			w.makeKeys(algorithm)
			cp := w.startCluster()
			worker := w.machine("worker-1").seed(w.worker()).powerOn()
			g.Eventually(worker.ready, patient, often).Should(BeTrue(), worker.said)
			g.Eventually(w.nodeReady("worker-1"), patient, often).Should(Equal("True"))

			nodes, err := w.admin(w.vip.at).CoreV1().Nodes().List(context.Background(), metav1.ListOptions{})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(nodes.Items).To(HaveLen(2))
			first, second := nodes.Items[0], nodes.Items[1]
			g.Expect(first.Spec.ProviderID).To(Equal("hyperv://" + cp.id))
			g.Expect(first.Labels).To(HaveKey("node-role.kubernetes.io/control-plane"))
			g.Expect(first.Spec.Taints).To(ConsistOf(corev1.Taint{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule}))
			g.Expect(second.Spec.ProviderID).To(Equal("hyperv://" + worker.id))
			g.Expect(second.Labels).To(HaveKeyWithValue("example.com/pool", "blue"))
			g.Expect(second.Status.NodeInfo.KubeletVersion).To(Equal(version))
			g.Expect(second.Status.Addresses).To(ContainElement(corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: worker.address.String()}))
		})
	}
}

func TestAnAPIServerKnowsItsClients(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	cp := w.startCluster()
	at := netip.AddrPortFrom(cp.address, 6443)
	for path, want := range map[string]string{
		"/readyz":       "HTTP/1.0 200 OK",
		"/livez":        "HTTP/1.0 200 OK",
		"/version":      "HTTP/1.0 200 OK",
		"/api/v1/nodes": "HTTP/1.0 403 Forbidden",
		"/api/v1/namespaces/kube-public/configmaps/cluster-info": "HTTP/1.0 200 OK",
		"/api/v1/namespaces/kube-system/configmaps":              "HTTP/1.0 403 Forbidden",
	} {
		g.Expect(asks(at, path)()).To(Equal(want), path)
	}
}
