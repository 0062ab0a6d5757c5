package agentcmd

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/capstan-k8s/capstan/internal/pki"
)

func openIdentity(stateDir string, now func() time.Time) (*pki.Agent, error) {
	return pki.OpenAgent(pki.AgentOptions{StateDir: filepath.Join(stateDir, "identity"), Now: now})
}

// arm makes an agent that is not enrolled wait for the manager that knows the
// token. The file of a token that was used is not needed any more.
func arm(identity *pki.Agent, file string, log *slog.Logger) error {
	if identity.Enrolled() {
		return nil
	}
	if file == "" {
		log.Warn("agent is not enrolled: unless it was given a token before, it needs --enrol-token-file", EventNotEnrolled.attr())
		return nil
	}
	id, err := armFrom(identity, file)
	if err != nil {
		return err
	}
	log.Info("agent waits for the manager that knows its enrolment token", EventAwaitsManager.attr(), "token", id)
	return nil
}

func armFrom(identity *pki.Agent, file string) (id string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read enrolment token: %w", err)
	}
	token, err := pki.ParseToken(string(text))
	if err != nil {
		return "", fmt.Errorf("read enrolment token from %s: %w", file, err)
	}
	return token.ID(), identity.Arm(token)
}

// TakeToken hands the token in a file to the agent of a state folder, which must
// not be running, and removes the file: the token is in nobody's way, and in no
// command line. It returns in words what it did.
func TakeToken(stateDir, file string) (done string, err error) {
	release, err := claim(stateDir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, release()) }()
	identity, err := openIdentity(stateDir, time.Now)
	if err != nil {
		return "", err
	}
	done = "the agent is enrolled already and needs no token"
	if !identity.Enrolled() {
		id, err := armFrom(identity, file)
		if err != nil {
			return "", err
		}
		done = "the agent waits for the manager that knows token " + id
	}
	if err := os.Remove(file); err != nil {
		return "", fmt.Errorf("remove enrolment token that was handed over: %w", err)
	}
	return done, nil
}
