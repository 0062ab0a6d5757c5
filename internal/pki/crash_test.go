package pki_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/pki"
)

// Each case breaks the enrolment off after a step, restarts both sides with
// what they had recorded, and enrols again.
func TestAnEnrolmentThatBrokeOffIsResumed(t *testing.T) {
	tests := []struct {
		name         string
		upTo         int
		recordsPin   bool
		wantEnrolled bool
	}{
		{name: "after the handshake", upTo: 0},
		{name: "after the agent's answer", upTo: 1},
		{name: "after the manager recorded the pin", upTo: 1, recordsPin: true},
		{name: "after the agent recorded the certificate", upTo: 2, recordsPin: true, wantEnrolled: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			conn, err := connect(w.manager.EnrolConfig(w.ref), w.agent.ServerConfig())
			w.g.Expect(err).NotTo(HaveOccurred())
			if test.upTo >= 1 {
				e, err := w.manager.Enrol(conn.client, w.ref, w.token)
				w.g.Expect(err).NotTo(HaveOccurred())
				resp, err := w.agent.Enrol(conn.server, e.Request())
				w.g.Expect(err).NotTo(HaveOccurred())
				pin, err := e.Accept(resp)
				w.g.Expect(err).NotTo(HaveOccurred())
				if test.recordsPin {
					w.ref.Pin = pin
				}
				if test.upTo >= 2 {
					req, err := e.Certify()
					w.g.Expect(err).NotTo(HaveOccurred())
					_, err = w.agent.Install(conn.server, req)
					w.g.Expect(err).NotTo(HaveOccurred())
				}
			}
			w.restartAgent()
			restarted, err := pki.NewManager(pki.ManagerOptions{Name: "next leader", CA: w.manager.CA(), Now: w.clock.Now})
			w.g.Expect(err).NotTo(HaveOccurred())
			w.manager = restarted
			w.g.Expect(w.agent.Enrolled()).To(Equal(test.wantEnrolled))

			w.g.Expect(w.enrol()).To(Succeed())
			w.g.Expect(w.ordinary()).To(Succeed())
			w.g.Expect(w.enrol()).To(Succeed(), "once more changes nothing")
		})
	}
}

func TestAManagerThatLostItsPinDoesNotBelieveTheAgent(t *testing.T) {
	w := newEnrolledWorld(t)
	w.ref.Pin = pki.Pin{}
	w.g.Expect(w.enrol()).To(MatchError(pki.ErrAlreadyEnrolled))
}

func TestATokenLeftBehindByACrashIsBurntAtTheNextStart(t *testing.T) {
	w := newWorld(t)
	tokenFile := filepath.Join(w.dir, "token.json")
	left, err := os.ReadFile(tokenFile)
	w.g.Expect(err).NotTo(HaveOccurred())
	w.g.Expect(w.enrol()).To(Succeed())
	w.g.Expect(os.WriteFile(tokenFile, left, 0o600)).To(Succeed())

	w.restartAgent()

	w.g.Expect(w.agent.Enrolled()).To(BeTrue())
	w.g.Expect(tokenFile).NotTo(BeAnExistingFile())
	w.g.Expect(w.ordinary()).To(Succeed())
}

func TestTheAgentKeepsItsKeyAndCertificateAcrossRestarts(t *testing.T) {
	w := newEnrolledWorld(t)
	pin, cert := w.agent.Pin(), w.agent.Certificate()
	w.restartAgent()
	w.g.Expect(w.agent.Pin()).To(Equal(pin))
	w.g.Expect(w.agent.Certificate().Equal(cert)).To(BeTrue())
}

func TestADamagedStateDirectoryIsNeverPaperedOver(t *testing.T) {
	tests := []struct {
		name   string
		damage func(g *WithT, dir string)
	}{
		{"the key is gone", func(g *WithT, dir string) {
			g.Expect(os.Remove(filepath.Join(dir, "key.pem"))).To(Succeed())
		}},
		{"the key is another's", func(g *WithT, dir string) {
			key, err := pki.NewKey()
			g.Expect(err).NotTo(HaveOccurred())
			data, err := pki.EncodeKey(key)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(os.WriteFile(filepath.Join(dir, "key.pem"), data, 0o600)).To(Succeed())
		}},
		{"the key is damaged", func(g *WithT, dir string) {
			g.Expect(os.WriteFile(filepath.Join(dir, "key.pem"), []byte("?"), 0o600)).To(Succeed())
		}},
		{"the enrolment is cut short", func(g *WithT, dir string) {
			file := filepath.Join(dir, "enrolment.pem")
			data, err := os.ReadFile(file)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(os.WriteFile(file, data[:len(data)/2], 0o600)).To(Succeed())
		}},
		{"others may look into it", func(g *WithT, dir string) {
			g.Expect(os.Chmod(dir, 0o750)).To(Succeed())
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newEnrolledWorld(t)
			test.damage(w.g, w.dir)
			_, err := pki.OpenAgent(pki.AgentOptions{StateDir: w.dir, Now: w.clock.Now})
			w.g.Expect(err).To(HaveOccurred())
		})
	}
}

func TestTheStateDirectoryIsPrivateAndHoldsNoLeftovers(t *testing.T) {
	w := newEnrolledWorld(t)
	info, err := os.Stat(w.dir)
	w.g.Expect(err).NotTo(HaveOccurred())
	w.g.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o700)))
	entries, err := os.ReadDir(w.dir)
	w.g.Expect(err).NotTo(HaveOccurred())
	var names []string
	for _, entry := range entries {
		info, err := entry.Info()
		w.g.Expect(err).NotTo(HaveOccurred())
		w.g.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)), entry.Name())
		names = append(names, entry.Name())
	}
	w.g.Expect(names).To(ConsistOf("key.pem", "enrolment.pem"))
}
