package guest_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cluster-api/controlplane/kubeadm/pkg/proxy"
)

func TestAMachineThatLosesItsPowerBreaksItsConnections(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	m := w.startCluster()
	dialer, err := proxy.NewDialer(proxy.Proxy{Kind: "pods", Namespace: metav1.NamespaceSystem, KubeConfig: w.adminConfig(netip.AddrPortFrom(m.address, 6443)), Port: 6443})
	g.Expect(err).NotTo(HaveOccurred())
	forwarded, err := dialer.DialContextWithAddr(context.Background(), "kube-apiserver-cp-1")
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = forwarded.Close() }()
	broken := make(chan error, 1)
	go func() {
		_, err := forwarded.Read(make([]byte, 1))
		broken <- err
	}()

	m.powerOff()
	g.Eventually(broken, patient).Should(Receive(HaveOccurred()))
	for _, port := range []uint16{6443, 2379} {
		_, err := net.Dial("tcp", netip.AddrPortFrom(m.address, port).String())
		g.Expect(err).To(MatchError(ContainSubstring("refused")))
	}
}
