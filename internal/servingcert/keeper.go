package servingcert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// +kubebuilder:rbac:groups="",namespace=capstan-system,resources=secrets,verbs=create
// +kubebuilder:rbac:groups="",namespace=capstan-system,resources=secrets,resourceNames=capstan-webhook-cert,verbs=get;update
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations;validatingwebhookconfigurations,verbs=get;list;patch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get;list;patch

const (
	// retryInterval is the wait after a failed look.
	retryInterval = 5 * time.Second
	// ensureTimeout bounds one look, so that an API server that hangs cannot stop
	// the next one.
	ensureTimeout = time.Minute
	// conflictLimit is how often a write that lost to another replica is tried
	// again at once: every loser finds the winner's work and seldom has more to do.
	conflictLimit = 10
)

// Keeper keeps the serving certificate and the API server's trust in it. Every
// replica of the manager runs one; they share the Secret and agree through it.
type Keeper struct {
	options Options
	names   names
	serving atomic.Pointer[tls.Certificate]

	mu    sync.Mutex
	trust trust
}

// New returns a Keeper that serves nothing yet: call Ensure before the manager
// starts, and add the Keeper to the manager.
func New(options Options) (*Keeper, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	return &Keeper{
		options: options,
		names:   options.names(),
		trust:   trust{client: options.Client, endpoint: endpoint{service: options.Service, baseURL: options.BaseURL}},
	}, nil
}

// ConfigureTLS makes a server present the newest certificate on every handshake.
func (k *Keeper) ConfigureTLS(config *tls.Config) {
	config.MinVersion = tls.VersionTLS13
	config.GetCertificate = k.GetCertificate
}

// GetCertificate returns the certificate to serve by.
func (k *Keeper) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := k.serving.Load(); cert != nil {
		return cert, nil
	}
	return nil, errors.New("no serving certificate yet")
}

// Check is a readiness check: it fails while there is no valid certificate to
// serve by.
func (k *Keeper) Check(*http.Request) error {
	if !k.servesValid() {
		return errors.New("no valid serving certificate")
	}
	return nil
}

// NeedLeaderElection lets every replica keep its certificate: all of them serve.
func (k *Keeper) NeedLeaderElection() bool { return false }

// Start looks after certificate and trust until the context ends. A failed look
// is logged and repeated; it never ends the manager, whose present certificate
// may well be good for weeks.
func (k *Keeper) Start(ctx context.Context) error {
	log := ctrllog.FromContext(ctx).WithName("servingcert")
	wait := k.options.CheckInterval
	for {
		timer := k.options.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C():
		}
		wait = k.options.CheckInterval
		if err := k.Ensure(ctx); err != nil {
			log.Error(err, "Keeping the webhooks' serving certificate failed, trying again", "after", retryInterval)
			wait = retryInterval
		}
	}
}

// Ensure makes or renews what is missing or near its end, repairs the API
// server's trust, and only then serves by it.
func (k *Keeper) Ensure(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, ensureTimeout)
	defer cancel()

	for range conflictLimit {
		current, version, err := k.ensureSecret(ctx)
		if err != nil {
			return err
		}
		patched, err := k.trust.ensure(ctx, current.bundle())
		if err == nil || !k.servesValid() {
			k.serving.Store(current.serving.tls())
		}
		if err != nil {
			return err
		}
		if !patched {
			return nil
		}
		// A replica that renewed the authority meanwhile may just have had its
		// bundle overwritten by the one read before.
		latest, err := k.secretVersion(ctx)
		if err != nil {
			return err
		}
		if latest == version {
			return nil
		}
	}
	return fmt.Errorf("secret %s changed %d times while trust in it was written", k.options.Secret, conflictLimit)
}

func (k *Keeper) servesValid() bool {
	cert := k.serving.Load()
	now := k.options.Clock.Now()
	return cert != nil && !now.Before(cert.Leaf.NotBefore) && now.Before(cert.Leaf.NotAfter)
}
