package pki_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/pki"
)

func TestEnrolmentLetsTheManagerInAndNobodyElse(t *testing.T) {
	w := newWorld(t)
	w.g.Expect(w.agent.Enrolled()).To(BeFalse())
	_, err := w.call(w.manager.EnrolConfig(w.ref), pki.Ordinary)
	w.g.Expect(err).To(MatchError(pki.ErrNotEnrolled))
	_, err = w.call(w.manager.EnrolConfig(w.ref), pki.Renewing)
	w.g.Expect(err).To(MatchError(pki.ErrNotEnrolled))

	w.g.Expect(w.enrol()).To(Succeed())

	w.g.Expect(w.ref.Pin).To(Equal(w.agent.Pin()))
	w.g.Expect(w.ordinary()).To(Succeed())
	w.g.Expect(w.agent.Certificate().VerifyHostname(hostAddr)).To(Succeed())
	stranger := newManager(t, w.clock, nil)
	_, err = w.call(stranger.RenewConfig(w.ref), pki.Ordinary)
	w.g.Expect(err).To(MatchError(pki.ErrPin))
}

func TestTheConnectionOfTheEnrolmentBecomesTheManagers(t *testing.T) {
	w := newWorld(t)
	other := newManager(t, w.clock, nil)
	strangers, err := connect(other.EnrolConfig(w.ref), w.agent.ServerConfig())
	w.g.Expect(err).NotTo(HaveOccurred())
	ours, err := connect(w.manager.EnrolConfig(w.ref), w.agent.ServerConfig())
	w.g.Expect(err).NotTo(HaveOccurred())

	w.g.Expect(w.enrol()).To(Succeed())

	w.g.Expect(w.authorize(ours, pki.Ordinary)).To(Succeed())
	for _, op := range []pki.Operation{pki.Ordinary, pki.Enrolling, pki.Renewing} {
		w.g.Expect(w.authorize(strangers, op)).To(MatchError(pki.ErrPin))
	}
}

func TestAWrongTokenEnrolsNobody(t *testing.T) {
	w := newWorld(t)
	w.g.Expect(enrolAs(w, w.manager, pki.NewToken(), &w.ref)).To(MatchError(pki.ErrProof))
	w.g.Expect(w.agent.Enrolled()).To(BeFalse())
	w.g.Expect(w.ref.Pin.IsZero()).To(BeTrue())
	w.g.Expect(w.enrol()).To(Succeed(), "the right token is still good")
}

func TestAnAgentWithoutATokenEnrolsWithNobody(t *testing.T) {
	w := newWorld(t)
	w.dir += "-other"
	w.restartAgent()
	w.g.Expect(w.enrol()).To(MatchError(pki.ErrNoToken))
}

func TestTheManagerNeverSignsBeforeTheAgentHasProvenTheToken(t *testing.T) {
	w := newWorld(t)
	conn, err := connect(w.manager.EnrolConfig(w.ref), w.agent.ServerConfig())
	w.g.Expect(err).NotTo(HaveOccurred())
	good := func() (*pki.Enrolment, pki.EnrolResponse) {
		e, err := w.manager.Enrol(conn.client, w.ref, w.token)
		w.g.Expect(err).NotTo(HaveOccurred())
		resp, err := w.agent.Enrol(conn.server, e.Request())
		w.g.Expect(err).NotTo(HaveOccurred())
		return e, resp
	}
	tests := []struct {
		name string
		resp func(*pki.Enrolment, pki.EnrolResponse) pki.EnrolResponse
		want error
	}{
		{"no proof", func(*pki.Enrolment, pki.EnrolResponse) pki.EnrolResponse {
			return pki.EnrolResponse{}
		}, pki.ErrProof},
		{"the manager's own proof reflected", func(e *pki.Enrolment, _ pki.EnrolResponse) pki.EnrolResponse {
			return pki.EnrolResponse{AgentProof: e.Request().ManagerProof}
		}, pki.ErrProof},
		{"a proof with one bit turned", func(_ *pki.Enrolment, r pki.EnrolResponse) pki.EnrolResponse {
			r.AgentProof[0] ^= 1
			return r
		}, pki.ErrProof},
		{"an impostor's claim to be enrolled", func(*pki.Enrolment, pki.EnrolResponse) pki.EnrolResponse {
			return pki.EnrolResponse{AlreadyEnrolled: true}
		}, pki.ErrAlreadyEnrolled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := NewWithT(t)
			e, resp := good()
			_, err := e.Accept(test.resp(e, resp))
			g.Expect(err).To(MatchError(test.want))
			_, err = e.Certify()
			g.Expect(err).To(HaveOccurred())
		})
	}
	e, resp := good()
	_, err = e.Certify()
	w.g.Expect(err).To(HaveOccurred(), "nothing is signed before Accept")
	w.g.Expect(e.Accept(resp)).To(Equal(w.agent.Pin()))
	_, err = e.Certify()
	w.g.Expect(err).NotTo(HaveOccurred())
}

func TestTheAgentTrustsNoCAWithoutProof(t *testing.T) {
	tests := []struct {
		name   string
		tamper func(w *world, req *pki.InstallRequest, asked pki.EnrolRequest, answered pki.EnrolResponse)
	}{
		{"no proof", func(_ *world, req *pki.InstallRequest, _ pki.EnrolRequest, _ pki.EnrolResponse) {
			req.ManagerProof = nil
		}},
		{"the proof of the first step", func(_ *world, req *pki.InstallRequest, asked pki.EnrolRequest, _ pki.EnrolResponse) {
			req.ManagerProof = asked.ManagerProof
		}},
		{"the agent's own proof reflected", func(_ *world, req *pki.InstallRequest, _ pki.EnrolRequest, answered pki.EnrolResponse) {
			req.ManagerProof = answered.AgentProof
		}},
		{"another token's ID", func(_ *world, req *pki.InstallRequest, _ pki.EnrolRequest, _ pki.EnrolResponse) {
			req.TokenID = pki.NewToken().ID()
		}},
		{"another CA", func(w *world, req *pki.InstallRequest, _ pki.EnrolRequest, _ pki.EnrolResponse) {
			ca, err := pki.NewCA("other", w.clock.Now())
			w.g.Expect(err).NotTo(HaveOccurred())
			req.CACertificate = ca.Certificate().Raw
		}},
		{"another certificate", func(w *world, req *pki.InstallRequest, _ pki.EnrolRequest, _ pki.EnrolResponse) {
			req.Certificate = w.manager.CA().Certificate().Raw
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			conn, err := connect(w.manager.EnrolConfig(w.ref), w.agent.ServerConfig())
			w.g.Expect(err).NotTo(HaveOccurred())
			e, err := w.manager.Enrol(conn.client, w.ref, w.token)
			w.g.Expect(err).NotTo(HaveOccurred())
			resp, err := w.agent.Enrol(conn.server, e.Request())
			w.g.Expect(err).NotTo(HaveOccurred())
			_, err = e.Accept(resp)
			w.g.Expect(err).NotTo(HaveOccurred())
			req, err := e.Certify()
			w.g.Expect(err).NotTo(HaveOccurred())
			bad := req
			test.tamper(w, &bad, e.Request(), resp)

			_, err = w.agent.Install(conn.server, bad)
			w.g.Expect(err).To(MatchError(pki.ErrProof))
			w.g.Expect(w.agent.Enrolled()).To(BeFalse())

			_, err = w.agent.Install(conn.server, req)
			w.g.Expect(err).NotTo(HaveOccurred(), "untampered, it is good")
		})
	}
}

// The impostor ends the manager's TLS connection and opens his own to the
// agent, and carries every message from one to the other.
func TestAManInTheMiddleThatRelaysIsFoundOut(t *testing.T) {
	w := newWorld(t)
	impostor, err := pki.OpenAgent(pki.AgentOptions{StateDir: t.TempDir() + "/pki", Now: w.clock.Now})
	w.g.Expect(err).NotTo(HaveOccurred())
	left, err := connect(w.manager.EnrolConfig(w.ref), impostor.ServerConfig())
	w.g.Expect(err).NotTo(HaveOccurred())
	right, err := connect(newManager(t, w.clock, nil).EnrolConfig(w.ref), w.agent.ServerConfig())
	w.g.Expect(err).NotTo(HaveOccurred())

	e, err := w.manager.Enrol(left.client, w.ref, w.token)
	w.g.Expect(err).NotTo(HaveOccurred())
	_, err = w.agent.Enrol(right.server, e.Request())
	w.g.Expect(err).To(MatchError(pki.ErrProof), "the manager's proof is no good on the agent's connection")

	// Even an answer that the agent gives to its true manager is worthless here.
	honest, err := connect(w.manager.EnrolConfig(w.ref), w.agent.ServerConfig())
	w.g.Expect(err).NotTo(HaveOccurred())
	trueOne, err := w.manager.Enrol(honest.client, w.ref, w.token)
	w.g.Expect(err).NotTo(HaveOccurred())
	answer, err := w.agent.Enrol(honest.server, trueOne.Request())
	w.g.Expect(err).NotTo(HaveOccurred())
	_, err = e.Accept(answer)
	w.g.Expect(err).To(MatchError(pki.ErrProof))
	w.g.Expect(w.agent.Enrolled()).To(BeFalse())
}

func TestReplayedMessagesAreRefused(t *testing.T) {
	w := newWorld(t)
	first, err := connect(w.manager.EnrolConfig(w.ref), w.agent.ServerConfig())
	w.g.Expect(err).NotTo(HaveOccurred())
	e, err := w.manager.Enrol(first.client, w.ref, w.token)
	w.g.Expect(err).NotTo(HaveOccurred())
	resp, err := w.agent.Enrol(first.server, e.Request())
	w.g.Expect(err).NotTo(HaveOccurred())
	_, err = e.Accept(resp)
	w.g.Expect(err).NotTo(HaveOccurred())
	install, err := e.Certify()
	w.g.Expect(err).NotTo(HaveOccurred())

	second, err := connect(w.manager.EnrolConfig(w.ref), w.agent.ServerConfig())
	w.g.Expect(err).NotTo(HaveOccurred())
	_, err = w.agent.Enrol(second.server, e.Request())
	w.g.Expect(err).To(MatchError(pki.ErrProof))
	_, err = w.agent.Install(second.server, install)
	w.g.Expect(err).To(MatchError(pki.ErrProof))
	w.g.Expect(w.agent.Enrolled()).To(BeFalse())
}

func TestATokenIsBurntByItsFirstSuccess(t *testing.T) {
	w := newEnrolledWorld(t)
	g := w.g
	thief := newManager(t, w.clock, nil)
	ref := pki.AgentRef{Name: hostName}

	g.Expect(enrolAs(w, thief, w.token, &ref)).To(MatchError(pki.ErrPin))
	g.Expect(w.agent.Arm(w.token)).To(MatchError(pki.ErrAlreadyEnrolled))
	w.restartAgent()
	g.Expect(enrolAs(w, thief, w.token, &ref)).To(MatchError(pki.ErrPin))
	g.Expect(filepath.Glob(filepath.Join(w.dir, "token*"))).To(BeEmpty())
	g.Expect(w.ordinary()).To(Succeed())
}

func TestTheAgentKeepsNoTokenText(t *testing.T) {
	w := newWorld(t)
	_, secret, _ := strings.Cut(w.token.Reveal(), ".")
	files, err := filepath.Glob(filepath.Join(w.dir, "*"))
	w.g.Expect(err).NotTo(HaveOccurred())
	w.g.Expect(files).NotTo(BeEmpty())
	for _, file := range files {
		data, err := os.ReadFile(file)
		w.g.Expect(err).NotTo(HaveOccurred())
		w.g.Expect(string(data)).NotTo(ContainSubstring(secret))
	}
}

func TestWrongProofsAreSlowedDownButNeverLockTheManagerOut(t *testing.T) {
	w := newWorld(t)
	for range 16 {
		w.g.Expect(enrolAs(w, w.manager, pki.NewToken(), &w.ref)).To(MatchError(pki.ErrProof))
	}
	w.g.Expect(w.enrol()).To(MatchError(pki.ErrTooManyGuesses))
	w.clock.Advance(-time.Hour)
	w.g.Expect(w.enrol()).To(MatchError(pki.ErrTooManyGuesses), "a clock set back gives nothing away")
	w.clock.Advance(2 * time.Second)
	w.g.Expect(w.enrol()).To(Succeed())
}

func TestOfTwoManagersWithOneTokenOneWins(t *testing.T) {
	w := newWorld(t)
	type result struct {
		manager *pki.ManagerIdentity
		ref     pki.AgentRef
		err     error
	}
	results := make([]result, 8)
	for i := range results {
		results[i] = result{manager: newManager(t, w.clock, nil), ref: w.ref}
	}
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { results[i].err = enrolAs(w, results[i].manager, w.token, &results[i].ref) })
	}
	all.Wait()

	won := 0
	for _, r := range results {
		_, err := w.call(r.manager.ClientConfig(r.ref), pki.Ordinary)
		if r.err == nil {
			won++
			w.g.Expect(err).NotTo(HaveOccurred())
			continue
		}
		// A loser learns it from the agent's answer, or is kept out of the
		// handshake already.
		w.g.Expect(errors.Is(r.err, pki.ErrAlreadyEnrolled) || errors.Is(r.err, pki.ErrPin)).To(BeTrue(), r.err.Error())
		w.g.Expect(err).To(HaveOccurred())
	}
	w.g.Expect(won).To(Equal(1))
}
