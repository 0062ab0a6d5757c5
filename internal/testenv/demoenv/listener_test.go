package demoenv

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestWhoListensIsFound(t *testing.T) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	at := listener.Addr().(*net.TCPAddr).AddrPort()
	self, err := os.ReadFile("/proc/self/comm")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ListenersOn(at)).To(ConsistOf(strings.TrimSpace(string(self))))

	// The same port on another address is somebody else's.
	g.Expect(ListenersOn(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), at.Port()))).To(BeEmpty())
	g.Expect(listener.Close()).To(Succeed())
	g.Expect(ListenersOn(at)).To(BeEmpty())
}
