package hypervhost

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/hostclient"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/trust"
)

// tokenKey is the key of an enrolment token in its Secret.
const tokenKey = "token"

// enrolmentError says that an agent answers, and that it could not be made ours.
type enrolmentError struct{ error }

// Unwrap gives the error beneath.
func (e *enrolmentError) Unwrap() error { return e.error }

// noTokenError says that a token is needed and is not there.
type noTokenError struct{ message string }

// Error implements error.
func (e *noTokenError) Error() string { return e.message }

// connect introduces manager and agent to each other, and enrols and renews
// where that is the way in.
func (r *Reconciler) connect(ctx context.Context, s *scope) error {
	agent, err := r.hello(ctx, s)
	switch {
	case errors.Is(err, hostapi.ErrCertificateDates):
		if err = agent.Renew(ctx); err == nil {
			agent, err = r.hello(ctx, s)
		}
	case errors.Is(err, hostapi.ErrNotEnrolled), errors.Is(err, hostapi.ErrCertificateMismatch):
		// The pin may have been put right by hand.
		r.Agents.Pins.Reread(r.pinned(s))
		if err = r.enrol(ctx, s, err); err == nil {
			agent, err = r.hello(ctx, s)
		}
	}
	if err != nil {
		return err
	}
	s.agent = agent
	if err := r.spendToken(ctx, s); err != nil {
		return err
	}
	if agent.NeedsRenewal(r.Clock.Now()) {
		if err := agent.Renew(ctx); err != nil {
			// A third of the old certificate's life is left to try it again.
			logf.FromContext(ctx).Error(err, "The agent's certificate could not be renewed yet", "host", s.host.Name)
		}
	}
	return nil
}

func (r *Reconciler) hello(ctx context.Context, s *scope) (*hostclient.Client, error) {
	agent, err := r.Agents.client(ctx, s.host)
	if err != nil {
		return nil, err
	}
	hello, err := agent.Hello(ctx)
	if err != nil {
		return agent, err
	}
	s.hello, s.memory.answered = &hello, r.Clock.Now()
	return agent, nil
}

func (r *Reconciler) pinned(s *scope) trust.Agent {
	return trust.HostAgent(r.Agents.Namespace, s.host)
}

// enrol makes the agent ours if there is a token for it. Why is what the agent
// said without one. A new token is the administrator's word that the agent may
// have a new key: it was installed anew.
func (r *Reconciler) enrol(ctx context.Context, s *scope, why error) error {
	secret, err := r.tokenSecret(ctx, s)
	if err != nil {
		return err
	}
	if secret == nil {
		if errors.Is(why, hostapi.ErrCertificateMismatch) {
			return why
		}
		return &noTokenError{r.missingToken(s)}
	}
	token, err := pki.ParseToken(string(secret.Data[tokenKey]))
	if err != nil {
		return &enrolmentError{fmt.Errorf("key %s of Secret %s: %w", tokenKey, client.ObjectKeyFromObject(secret), err)}
	}
	target := hostclient.Target{Address: s.host.Spec.Endpoint, Name: s.host.Name}
	if errors.Is(why, hostapi.ErrNotEnrolled) {
		if target.Pin, err = r.Agents.Pins.Pin(ctx, r.pinned(s)); err != nil {
			return err
		}
	}
	var unrecorded error
	err = hostclient.Enrol(ctx, target, r.Manager, token, func(ctx context.Context, pin pki.Pin) error {
		unrecorded = r.Agents.Pins.Record(ctx, r.pinned(s), pin)
		return unrecorded
	})
	switch {
	case unrecorded != nil:
		return unrecorded
	case err != nil && refused(err):
		return &enrolmentError{fmt.Errorf("enrolling the agent with the token of Secret %s: %w", client.ObjectKeyFromObject(secret), err)}
	case err != nil:
		return err
	}
	s.memory.tokenSpent, s.memory.told = false, ""
	return nil
}

// refused tells an agent that said no from one that did not answer.
func refused(err error) bool {
	for _, no := range []error{
		hostapi.ErrCertificateMismatch, pki.ErrProof, pki.ErrNoToken, pki.ErrTooManyGuesses, pki.ErrAlreadyEnrolled, pki.ErrPin,
	} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

func (r *Reconciler) missingToken(s *scope) string {
	if name := s.host.Spec.EnrolmentTokenSecret; name != "" {
		return fmt.Sprintf("the agent at %s is not enrolled: waiting for Secret %s/%s with the token that it was installed with, under the key %s",
			s.host.Spec.Endpoint, r.Agents.Namespace, name, tokenKey)
	}
	return fmt.Sprintf("the agent at %s is not enrolled: put the token that it was installed with into a Secret in namespace %s, under the key %s, and name it in spec.enrolmentTokenSecret",
		s.host.Spec.Endpoint, r.Agents.Namespace, tokenKey)
}

// tokenSecret returns the Secret of the enrolment token, or nil if there is none.
func (r *Reconciler) tokenSecret(ctx context.Context, s *scope) (*corev1.Secret, error) {
	if s.host.Spec.EnrolmentTokenSecret == "" {
		return nil, nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: r.Agents.Namespace, Name: s.host.Spec.EnrolmentTokenSecret}
	switch err := r.Live.Get(ctx, key, secret); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading Secret %s: %w", key, err)
	}
	return secret, nil
}

// isToken tells a Secret that holds a token from one that is named by mistake,
// which is not ours to delete.
func isToken(secret *corev1.Secret) bool {
	if secret == nil {
		return false
	}
	_, err := pki.ParseToken(string(secret.Data[tokenKey]))
	return err == nil
}

// spendToken deletes the token: it is worthless now, and looks as if it were not.
func (r *Reconciler) spendToken(ctx context.Context, s *scope) error {
	if s.memory.tokenSpent {
		return nil
	}
	secret, err := r.tokenSecret(ctx, s)
	if err != nil {
		return err
	}
	if isToken(secret) {
		if err := r.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the spent token in Secret %s: %w", client.ObjectKeyFromObject(secret), err)
		}
	}
	s.memory.tokenSpent = true
	return nil
}
