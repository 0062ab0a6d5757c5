package haproxy_test

import (
	"crypto/tls"
	"net"
	"strconv"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbapitest"
)

func TestOthersLeaveConnectionsToTheAPIServerAndToEachOther(t *testing.T) {
	l := newLab(t, func(l *lab) { l.carries = 20 })
	server, api := l.newServer(10), l.newAPIServer(11, serverName)
	api.Ready.Store(true)
	plan := l.plan(server.Backend)
	ssh, apiPort := plan.Frontends[0], l.freePort(l.address(100))
	ssh.Name, ssh.Port = "ssh", l.freePort(l.address(100))
	kube := l.apiPlan(api.CA, api.Backend).Frontends[0]
	kube.Name, kube.Port = "kube-apiserver", apiPort
	plan.Frontends = append(plan.Frontends, ssh, kube)
	l.apply(plan)
	l.eventually(l.health).Should(And(HaveKeyWithValue(api.Name, lbapi.HealthUp), HaveKeyWithValue(server.Name, lbapi.HealthUp)))

	dial := func(port int32) net.Conn {
		conn, err := net.Dial("tcp", net.JoinHostPort(l.address(100), strconv.Itoa(int(port))))
		l.Expect(err).NotTo(HaveOccurred())
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	for range 10 {
		l.holdOn(server)
	}
	for range 5 {
		dial(l.vipPort) // One frontend has half at most: these wait.
	}
	var streams []*lbapitest.Stream
	for range 5 {
		s, err := l.connect(ssh.Port)
		l.Expect(err).NotTo(HaveOccurred())
		streams = append(streams, s)
	}
	_, err := l.connect(ssh.Port)
	l.Expect(err).To(HaveOccurred(), "both have three quarters at most")
	for range 5 {
		conn := tls.Client(dial(apiPort), &tls.Config{InsecureSkipVerify: true})
		l.Expect(conn.HandshakeContext(t.Context())).To(Succeed(), "the last quarter is the API server's")
	}

	for _, s := range streams {
		s.Close()
	}
	l.eventually(func() error {
		s, err := l.connect(ssh.Port)
		if err == nil {
			s.Close()
		}
		return err
	}).Should(Succeed(), "what has ended counts no more")
}
