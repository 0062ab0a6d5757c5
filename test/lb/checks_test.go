package lb

import (
	"net/http"
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
)

func TestOnlyAPIServersThatAreReadyAndOfTheClusterGetConnections(t *testing.T) {
	u := startUnderLoad(t)
	servers, err := u.NewAPIServers()
	u.Expect(err).NotTo(HaveOccurred())
	strangers, err := u.NewAPIServers()
	u.Expect(err).NotTo(HaveOccurred())
	for i := range 6 {
		u.Expect(servers.Certify(i)).To(Succeed())
	}
	ready := func(number, status int) { u.Expect(u.Health(number).Say("/readyz", status)).To(Succeed()) }
	// All accept connections, and answer whoever gets through to them.
	ready(1, http.StatusInternalServerError)
	u.Expect(strangers.Certify(2)).To(Succeed())
	u.Expect(servers.Certify(3, "another.default.svc")).To(Succeed())
	ready(4, http.StatusFound)

	api := &u.plan.Frontends[0]
	api.Check, api.Backends = servers.Check(), nil
	for i := range 7 { // The last one speaks no TLS.
		api.Backends = append(api.Backends, lblab.Server(i))
	}
	before := u.report(u.WithT)
	u.Expect(u.Apply(u.ctx, u.plan)).To(Succeed())
	u.answersFrom(u.WithT, "s0", "s5")
	for number, why := range map[string]string{
		"s1": "wrong status: Internal Server Error", "s2": "SSL handshake failure",
		"s3": "SSL certificate different from the expected one", "s4": "wrong status: Found", "s6": "SSL",
	} {
		u.Eventually(u.complaint).WithArguments(number).WithTimeout(patience).Should(ContainSubstring(why), number)
	}
	now := u.report(u.WithT)
	for _, number := range []string{"s2", "s3", "s4", "s6"} {
		u.Expect(now.By[number]).To(Equal(before.By[number]), "%s got connections before anything was known of it", number)
	}

	ready(5, http.StatusServiceUnavailable)
	u.answersFrom(u.WithT, "s0")
	ready(1, http.StatusOK)
	u.answersFrom(u.WithT, "s0", "s1")
	u.Expect(servers.Certify(2)).To(Succeed())
	u.answersFrom(u.WithT, "s0", "s1", "s2")
	u.unharmed(u.WithT, before)
}

// complaint is what the first VM says of a server of the first frontend that is down.
func (u *underLoad) complaint(g Gomega, server string) string {
	status, err := u.VMs[0].Status(u.ctx)
	g.Expect(err).NotTo(HaveOccurred())
	for _, b := range status.Backends {
		if b.Frontend == "api" && b.Backend == server && b.Health == lbapi.HealthDown {
			return b.Message
		}
	}
	return ""
}

// A node tells on a port of its own whether it has an endpoint of a Service with
// externalTrafficPolicy Local: whoever has none refuses the check, and not connections.
func TestOnlyNodesWithAnEndpointGetConnectionsOfALocalService(t *testing.T) {
	u := startUnderLoad(t)
	for number, status := range map[int]int{0: http.StatusOK, 1: http.StatusServiceUnavailable} {
		u.Expect(u.Health(number).Say("/healthz", status)).To(Succeed())
	}
	service := lblab.Frontend("local", 80)
	service.Backends = append(service.Backends, lblab.Server(2))
	service.Check.Kind, service.Check.Path, service.Check.Port = lbapi.CheckHTTP, "/healthz", lblab.Port
	for i := range service.Backends {
		// Connections go elsewhere than the check: it is the check that keeps them away.
		service.Backends[i].Port = lblab.NodePort
	}
	u.plan.Frontends = append(u.plan.Frontends, service)
	u.Expect(u.Apply(u.ctx, u.plan)).To(Succeed())
	at := netip.AddrPortFrom(lblab.VIP, 80)
	u.answersOnly(at, "s0")

	before := u.report(u.WithT)
	u.Expect(u.Health(1).Say("/healthz", http.StatusOK)).To(Succeed())
	u.Expect(u.Health(0).Say("/healthz", http.StatusServiceUnavailable)).To(Succeed())
	u.answersOnly(at, "s1")
	u.Expect(u.Health(1).Say("/healthz", http.StatusServiceUnavailable)).To(Succeed())
	u.Eventually(func() error { _, err := u.Try(u.ctx, at); return err }).Should(HaveOccurred())
	u.unharmed(u.WithT, before)
}

// answersOnly waits until an address is answered by a server, and wants it to be
// answered by no other from then on.
func (w *world) answersOnly(at netip.AddrPort, server string) {
	w.t.Helper()
	ask := func() (map[netip.AddrPort]string, error) { return w.Try(w.ctx, at) }
	w.Eventually(func(g Gomega) {
		for range 6 {
			g.Expect(ask()).To(HaveKeyWithValue(at, server))
		}
	}).Should(Succeed())
	for range 20 {
		w.Expect(ask()).To(HaveKeyWithValue(at, server))
	}
}
