package pki_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/pki"
)

const day = 24 * time.Hour

func TestAfterFourHundredDaysOffRenewHeals(t *testing.T) {
	w := newEnrolledWorld(t)
	w.clock.Advance(400 * day)
	w.restartAgent()
	// The next manager process starts from the stored CA.
	manager, err := pki.NewManager(pki.ManagerOptions{Name: "next leader", CA: w.manager.CA(), Now: w.clock.Now})
	w.g.Expect(err).NotTo(HaveOccurred())
	w.manager = manager

	w.g.Expect(w.ordinary()).To(MatchError(pki.ErrDates))
	w.g.Expect(w.renew()).To(Succeed())
	w.g.Expect(w.ordinary()).To(Succeed())
}

func TestACAThatRanOutIsReissuedWithTheSameKey(t *testing.T) {
	w := newEnrolledWorld(t)
	w.clock.Advance(pki.CALifetime + 400*day)
	w.g.Expect(w.manager.CA().NeedsReissue(w.clock.Now())).To(BeTrue())
	w.g.Expect(w.renew()).To(MatchError(pki.ErrDates), "nothing is signed with an expired CA")

	ca, err := w.manager.CA().Reissue(w.clock.Now())
	w.g.Expect(err).NotTo(HaveOccurred())
	w.g.Expect(w.manager.SetCA(ca)).To(Succeed())

	w.g.Expect(w.ordinary()).To(MatchError(pki.ErrDates))
	w.g.Expect(w.renew()).To(Succeed())
	w.g.Expect(w.ordinary()).To(Succeed())
	w.restartAgent()
	w.g.Expect(w.ordinary()).To(Succeed())
}

func TestAReissuedCANeedsNoRenewal(t *testing.T) {
	w := newEnrolledWorld(t)
	w.clock.Advance(time.Hour)
	ca, err := w.manager.CA().Reissue(w.clock.Now())
	w.g.Expect(err).NotTo(HaveOccurred())
	w.g.Expect(w.manager.SetCA(ca)).To(Succeed())
	w.g.Expect(w.ordinary()).To(Succeed())
}

// The manager's certificate is good by its own clock and not by the agent's.
func TestAnAgentWithAWrongClockStillLetsRenewIn(t *testing.T) {
	for _, skew := range []time.Duration{-400 * day, 400 * day} {
		w := newEnrolledWorld(t)
		agentClock := newClock()
		agentClock.Advance(skew)
		agent, err := pki.OpenAgent(pki.AgentOptions{StateDir: w.dir, Now: agentClock.Now})
		w.g.Expect(err).NotTo(HaveOccurred())
		w.agent = agent

		w.g.Expect(w.ordinary()).To(MatchError(pki.ErrDates))
		_, err = w.call(w.manager.ClientConfig(w.ref), pki.Enrolling)
		w.g.Expect(err).To(MatchError(pki.ErrDates))
		w.g.Expect(w.renew()).To(Succeed())
	}
}

func TestAClockADayLateStillWorks(t *testing.T) {
	w := newEnrolledWorld(t)
	agentClock := newClock()
	agentClock.Advance(-day)
	agent, err := pki.OpenAgent(pki.AgentOptions{StateDir: w.dir, Now: agentClock.Now})
	w.g.Expect(err).NotTo(HaveOccurred())
	w.agent = agent
	w.g.Expect(w.ordinary()).To(Succeed())
}

func TestTheRightsOfAnOpenConnectionEndWithItsDates(t *testing.T) {
	w := newEnrolledWorld(t)
	conn, err := w.call(w.manager.ClientConfig(w.ref), pki.Ordinary)
	w.g.Expect(err).NotTo(HaveOccurred())
	w.clock.Advance(pki.LeafLifetime + time.Second)
	w.g.Expect(w.authorize(conn, pki.Ordinary)).To(MatchError(pki.ErrDates))
	w.g.Expect(w.authorize(conn, pki.Renewing)).To(Succeed())
}

func TestRenewedCertificatesAreServedWithoutARestart(t *testing.T) {
	w := newEnrolledWorld(t)
	serverConfig, clientConfig := w.agent.ServerConfig(), w.manager.ClientConfig(w.ref)
	before, err := connect(clientConfig, serverConfig)
	w.g.Expect(err).NotTo(HaveOccurred())
	oldLeaf := before.client.PeerCertificates[0]
	w.g.Expect(pki.NeedsRenewal(oldLeaf, w.clock.Now())).To(BeFalse())

	w.clock.Advance(5 * day)
	w.g.Expect(pki.NeedsRenewal(oldLeaf, w.clock.Now())).To(BeTrue())
	w.g.Expect(w.renew()).To(Succeed())
	after, err := connect(clientConfig, serverConfig)
	w.g.Expect(err).NotTo(HaveOccurred())

	newLeaf := after.client.PeerCertificates[0]
	w.g.Expect(newLeaf.NotAfter).To(BeTemporally(">", oldLeaf.NotAfter))
	w.g.Expect(pki.PinOf(newLeaf)).To(Equal(pki.PinOf(oldLeaf)))
	w.g.Expect(after.server.PeerCertificates[0].NotAfter).To(
		BeTemporally(">", before.server.PeerCertificates[0].NotAfter), "the manager renews its own as well")
}

func TestAPinMismatchIsRefusedByEveryConfiguration(t *testing.T) {
	w := newEnrolledWorld(t)
	wrong := w.ref
	wrong.Pin[0] ^= 1
	for name, config := range map[string]*tls.Config{
		"ordinary": w.manager.ClientConfig(wrong),
		"renew":    w.manager.RenewConfig(wrong),
		"enrol":    w.manager.EnrolConfig(wrong),
	} {
		_, err := connect(config, w.agent.ServerConfig())
		w.g.Expect(err).To(MatchError(pki.ErrPin), name)
	}
}

func TestWithoutAPinNothingButEnrolmentIsDialled(t *testing.T) {
	w := newEnrolledWorld(t)
	none := pki.AgentRef{Name: hostName}
	_, err := connect(w.manager.ClientConfig(none), w.agent.ServerConfig())
	w.g.Expect(err).To(HaveOccurred())
	_, err = connect(w.manager.RenewConfig(none), w.agent.ServerConfig())
	w.g.Expect(err).To(HaveOccurred())
	conn, err := connect(w.manager.EnrolConfig(none), w.agent.ServerConfig())
	w.g.Expect(err).NotTo(HaveOccurred())
	_, err = w.manager.Renewal(conn.client, none)
	w.g.Expect(err).To(HaveOccurred())
}

func TestTheAgentMustBeTheOneThatIsMeant(t *testing.T) {
	w := newEnrolledWorld(t)
	other := w.ref
	other.Name = "host-2.example.test"
	_, err := connect(w.manager.ClientConfig(other), w.agent.ServerConfig())
	w.g.Expect(err).To(MatchError(pki.ErrUntrusted))
}

func TestAnAgentThatIsNotEnrolledIsToldApart(t *testing.T) {
	w := newWorld(t)
	w.ref.Pin = w.agent.Pin()
	w.g.Expect(w.ordinary()).To(MatchError(pki.ErrNotEnrolled))
	w.g.Expect(w.renew()).To(MatchError(pki.ErrNotEnrolled))
}

func TestARevokedAgentIsRefusedEvenByRenew(t *testing.T) {
	w := newEnrolledWorld(t)
	conn, err := connect(w.manager.RenewConfig(w.ref), w.agent.ServerConfig())
	w.g.Expect(err).NotTo(HaveOccurred())
	w.managerRevoked.Add(w.ref.Pin)
	for name, config := range map[string]*tls.Config{
		"ordinary": w.manager.ClientConfig(w.ref),
		"renew":    w.manager.RenewConfig(w.ref),
		"enrol":    w.manager.EnrolConfig(w.ref),
	} {
		_, err := connect(config, w.agent.ServerConfig())
		w.g.Expect(err).To(MatchError(pki.ErrRevoked), name)
	}
	_, err = w.manager.Renewal(conn.client, w.ref)
	w.g.Expect(err).To(MatchError(pki.ErrRevoked), "nor is anything signed on an open connection")
}

func TestARevokedManagerIsRefusedEvenByRenew(t *testing.T) {
	tests := map[string]func(connection) *x509.Certificate{
		"its own key": func(c connection) *x509.Certificate { return c.server.PeerCertificates[0] },
		"its CA":      func(c connection) *x509.Certificate { return c.server.PeerCertificates[1] },
	}
	for name, which := range tests {
		t.Run(name, func(t *testing.T) {
			w := newEnrolledWorld(t)
			conn, err := w.call(w.manager.ClientConfig(w.ref), pki.Ordinary)
			w.g.Expect(err).NotTo(HaveOccurred())
			w.agentRevoked.Add(pki.PinOf(which(conn)))
			w.g.Expect(w.renew()).To(MatchError(pki.ErrRevoked))
			w.g.Expect(w.ordinary()).To(MatchError(pki.ErrRevoked))
			w.g.Expect(w.authorize(conn, pki.Renewing)).To(MatchError(pki.ErrRevoked), "open connections too")
		})
	}
}

func TestRenewTakesNoOtherKeys(t *testing.T) {
	w := newEnrolledWorld(t)
	conn, err := connect(w.manager.RenewConfig(w.ref), w.agent.ServerConfig())
	w.g.Expect(err).NotTo(HaveOccurred())
	good, err := w.manager.Renewal(conn.client, w.ref)
	w.g.Expect(err).NotTo(HaveOccurred())
	key, err := pki.NewKey()
	w.g.Expect(err).NotTo(HaveOccurred())
	foreign, err := w.manager.CA().IssueServer(&key.PublicKey, hostName, nil, w.clock.Now())
	w.g.Expect(err).NotTo(HaveOccurred())
	own, ok := conn.client.PeerCertificates[0].PublicKey.(*ecdsa.PublicKey)
	w.g.Expect(ok).To(BeTrue())
	forClients, err := w.manager.CA().IssueClient(own, hostName, w.clock.Now())
	w.g.Expect(err).NotTo(HaveOccurred())
	otherCA, err := pki.NewCA("other", w.clock.Now())
	w.g.Expect(err).NotTo(HaveOccurred())
	fromOther, err := otherCA.IssueServer(own, hostName, nil, w.clock.Now())
	w.g.Expect(err).NotTo(HaveOccurred())

	for name, req := range map[string]pki.RenewRequest{
		"another key":     {CACertificate: good.CACertificate, Certificate: foreign.Raw},
		"another use":     {CACertificate: good.CACertificate, Certificate: forClients.Raw},
		"another issuer":  {CACertificate: good.CACertificate, Certificate: fromOther.Raw},
		"another CA":      {CACertificate: otherCA.Certificate().Raw, Certificate: fromOther.Raw},
		"no certificate":  {CACertificate: good.CACertificate},
		"no CA":           {Certificate: good.Certificate},
		"the CA as agent": {CACertificate: good.CACertificate, Certificate: good.CACertificate},
	} {
		_, err := w.agent.Renew(conn.server, req)
		w.g.Expect(err).To(HaveOccurred(), name)
	}
	w.g.Expect(w.ordinary()).To(Succeed())
}

// An agent's own certificate comes from the same CA, but must open no other
// agent to it.
func TestAnAgentCannotPassForTheManager(t *testing.T) {
	w := newEnrolledWorld(t)
	key, err := pki.NewKey()
	w.g.Expect(err).NotTo(HaveOccurred())
	ca := w.manager.CA()
	server, err := ca.IssueServer(&key.PublicKey, "host-2.example.test", nil, w.clock.Now())
	w.g.Expect(err).NotTo(HaveOccurred())
	_, err = connect(&tls.Config{
		InsecureSkipVerify: true,
		Certificates:       []tls.Certificate{{Certificate: [][]byte{server.Raw, ca.Certificate().Raw}, PrivateKey: key}},
	}, w.agent.ServerConfig())
	w.g.Expect(err).To(MatchError(pki.ErrUntrusted))
}

func TestOnlyTLS13WithAClientCertificateIsSpoken(t *testing.T) {
	for name, w := range map[string]*world{"enrolled": newEnrolledWorld(t), "not enrolled": newWorld(t)} {
		config := w.manager.EnrolConfig(w.ref)
		config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		_, err := connect(config, w.agent.ServerConfig())
		w.g.Expect(err).To(MatchError(ContainSubstring("version")), name)

		config = w.manager.EnrolConfig(w.ref)
		config.GetClientCertificate = nil
		_, err = connect(config, w.agent.ServerConfig())
		w.g.Expect(err).To(MatchError(ContainSubstring("certificate")), name)
	}
}

func TestTheManagerRefusesATLS12Agent(t *testing.T) {
	w := newEnrolledWorld(t)
	old := w.agent.ServerConfig()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	_, err := connect(w.manager.ClientConfig(w.ref), old)
	w.g.Expect(err).To(MatchError(ContainSubstring("version")))
}

func TestNobodyMayDoAnything(t *testing.T) {
	g := NewWithT(t)
	for _, op := range []pki.Operation{pki.Ordinary, pki.Enrolling, pki.Renewing} {
		g.Expect(pki.Peer{}.Authorize(op)).To(MatchError(pki.ErrNotAllowed))
	}
}
