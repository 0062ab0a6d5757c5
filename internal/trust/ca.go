package trust

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/capstan-k8s/capstan/internal/pki"
)

// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create;update;patch;delete
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get

// CASecret is the name of the Secret of the manager's CA.
const CASecret = "capstan-ca"

// Label is on every Secret of this package. Its value says what is in it.
const Label = "capstan.dev/trust"

// Values of Label.
const (
	labelCA    = "ca"
	labelAgent = "agent"
)

// CAKeeper keeps the manager's CA.
type CAKeeper struct {
	// Client writes. Live reads past every cache.
	Client client.Writer
	Live   client.Reader
	// Namespace is the manager's own.
	Namespace string
	Clock     clock.WithTicker
}

// Identity returns the manager's identity. The CA is made the first time; of two
// managers that make it at once, both go on with the one that the API server
// took first.
func (k *CAKeeper) Identity(ctx context.Context, name string, revoked pki.Revocations) (*pki.ManagerIdentity, error) {
	ca, err := k.load(ctx)
	if apierrors.IsNotFound(err) {
		ca, err = k.create(ctx)
	}
	if err != nil {
		return nil, err
	}
	identity, err := pki.NewManager(pki.ManagerOptions{Name: name, CA: ca, Now: k.Clock.Now, Revoked: revoked})
	if err != nil {
		return nil, err
	}
	return identity, k.Refresh(ctx, identity)
}

// Refresh puts the stored CA in use, and reissues it with the same key if it is
// due.
func (k *CAKeeper) Refresh(ctx context.Context, identity *pki.ManagerIdentity) error {
	secret, err := k.read(ctx)
	if err != nil {
		return err
	}
	ca, err := parse(secret)
	if err != nil {
		return err
	}
	now := k.Clock.Now()
	if ca.NeedsReissue(now) {
		if ca, err = ca.Reissue(now); err != nil {
			return fmt.Errorf("reissuing the CA: %w", err)
		}
		secret.Data[corev1.TLSCertKey] = ca.CertificatePEM()
		// The resource version makes the update fail where another manager was
		// faster; what that one wrote is read at the next turn.
		if err := k.Client.Update(ctx, secret); err != nil {
			return fmt.Errorf("writing Secret %s: %w", client.ObjectKeyFromObject(secret), err)
		}
	}
	if ca.Certificate().Equal(identity.CA().Certificate()) {
		return nil
	}
	return identity.SetCA(ca)
}

// refreshEvery is far shorter than what is left of a CA's life when it becomes
// due.
const refreshEvery = time.Hour

// Run refreshes the CA of identity until ctx ends.
func (k *CAKeeper) Run(ctx context.Context, identity *pki.ManagerIdentity) error {
	ticker := k.Clock.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			if err := k.Refresh(ctx, identity); err != nil {
				logf.FromContext(ctx).Error(err, "The CA could not be refreshed and is tried again", "every", refreshEvery)
			}
		}
	}
}

func (k *CAKeeper) load(ctx context.Context) (*pki.CA, error) {
	secret, err := k.read(ctx)
	if err != nil {
		return nil, err
	}
	return parse(secret)
}

func (k *CAKeeper) read(ctx context.Context) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: k.Namespace, Name: CASecret}
	if err := k.Live.Get(ctx, key, secret); err != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", key, err)
	}
	return secret, nil
}

func parse(secret *corev1.Secret) (*pki.CA, error) {
	ca, err := pki.ParseCA(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		// A new CA would lock every agent out, so a damaged one is never replaced.
		return nil, errors.Join(fmt.Errorf("the CA in Secret %s is damaged: restore it from a backup, or delete it and enrol every agent again",
			client.ObjectKeyFromObject(secret)), err)
	}
	return ca, nil
}

func (k *CAKeeper) create(ctx context.Context) (*pki.CA, error) {
	ca, err := pki.NewCA("capstan", k.Clock.Now())
	if err != nil {
		return nil, err
	}
	key, err := ca.KeyPEM()
	if err != nil {
		return nil, err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: CASecret, Labels: map[string]string{Label: labelCA}},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: ca.CertificatePEM(), corev1.TLSPrivateKeyKey: key},
	}
	switch err := k.Client.Create(ctx, secret); {
	case apierrors.IsAlreadyExists(err):
		return k.load(ctx)
	case err != nil:
		return nil, fmt.Errorf("creating Secret %s: %w", client.ObjectKeyFromObject(secret), err)
	}
	return ca, nil
}
