package servingcert_test

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/capstan-k8s/capstan/internal/servingcert"
)

const day = 24 * time.Hour

func TestTheFirstLookMakesACertificateThatTheAPIServerTrusts(t *testing.T) {
	g, w := newWorld(t)
	keeper := w.keeper(servingcert.Options{})

	g.Expect(keeper.Ensure(t.Context())).To(Succeed())

	leaf := served(g, keeper)
	g.Expect(leaf.NotBefore).To(BeTemporally("==", start.Add(-25*time.Hour)))
	for _, bundle := range w.bundles(g) {
		expectTrusted(g, leaf, bundle, "capstan-webhook.capstan-system.svc", start)
	}
	for _, service := range w.services(g) {
		g.Expect(service).To(Equal("capstan-system/capstan-webhook"))
	}
}

func TestAnotherReplicaUsesTheSameAuthorityAndCertificate(t *testing.T) {
	g, w := newWorld(t)
	first, second := w.keeper(servingcert.Options{}), w.keeper(servingcert.Options{})

	g.Expect(first.Ensure(t.Context())).To(Succeed())
	g.Expect(second.Ensure(t.Context())).To(Succeed())

	g.Expect(served(g, second).Raw).To(Equal(served(g, first).Raw))
}

func TestReplicasThatRaceAgree(t *testing.T) {
	g, w := newWorld(t)
	keepers := make([]*servingcert.Keeper, 8)
	for i := range keepers {
		keepers[i] = w.keeper(servingcert.Options{})
	}
	race := func() {
		failures := make([]error, len(keepers))
		var wait sync.WaitGroup
		for i, keeper := range keepers {
			wait.Go(func() { failures[i] = keeper.Ensure(t.Context()) })
		}
		wait.Wait()
		g.Expect(errors.Join(failures...)).NotTo(HaveOccurred())

		leaf := served(g, keepers[0])
		for _, keeper := range keepers {
			g.Expect(served(g, keeper).Raw).To(Equal(leaf.Raw))
		}
		for _, bundle := range w.bundles(g) {
			expectTrusted(g, leaf, bundle, "capstan-webhook.capstan-system.svc", w.clock.Now())
		}
	}

	race()
	w.clock.Step(4*365*day + day)
	race()
}

func TestTheCertificateIsRenewedBeforeItEnds(t *testing.T) {
	g, w := newWorld(t)
	keeper := w.keeper(servingcert.Options{})
	g.Expect(keeper.Ensure(t.Context())).To(Succeed())
	first := served(g, keeper)
	authority := w.bundles(g)[0]

	w.clock.Step(servingcert.Lifetime - servingcert.RenewBefore - time.Minute)
	g.Expect(keeper.Ensure(t.Context())).To(Succeed())
	g.Expect(served(g, keeper).Raw).To(Equal(first.Raw), "not due yet")

	w.clock.Step(2 * time.Minute)
	g.Expect(keeper.Ensure(t.Context())).To(Succeed())
	renewed := served(g, keeper)
	g.Expect(renewed.NotAfter).To(BeTemporally("==", w.clock.Now().Add(servingcert.Lifetime)))
	g.Expect(w.bundles(g)).To(HaveEach(authority), "the authority stays")
	expectTrusted(g, renewed, authority, "capstan-webhook.capstan-system.svc", w.clock.Now())
}

func TestAReplacedAuthorityLeavesPeersTrusted(t *testing.T) {
	g, w := newWorld(t)
	lagging, leading := w.keeper(servingcert.Options{}), w.keeper(servingcert.Options{})
	g.Expect(lagging.Ensure(t.Context())).To(Succeed())
	w.clock.Step(4*365*day - 15*day)
	g.Expect(lagging.Ensure(t.Context())).To(Succeed())

	w.clock.Step(16 * day)
	g.Expect(leading.Ensure(t.Context())).To(Succeed())

	now := w.clock.Now()
	g.Expect(served(g, leading).AuthorityKeyId).NotTo(Equal(served(g, lagging).AuthorityKeyId))
	for _, bundle := range w.bundles(g) {
		expectTrusted(g, served(g, leading), bundle, "capstan-webhook.capstan-system.svc", now)
		expectTrusted(g, served(g, lagging), bundle, "capstan-webhook.capstan-system.svc", now)
	}

	w.clock.Step(365 * day)
	g.Expect(leading.Ensure(t.Context())).To(Succeed())
	for _, bundle := range w.bundles(g) {
		g.Expect(parse(g, bundle)).To(HaveLen(1), "the former authority has ended")
	}
}

func TestEverythingOffForYearsHealsAtTheFirstLook(t *testing.T) {
	g, w := newWorld(t)
	g.Expect(w.keeper(servingcert.Options{}).Ensure(t.Context())).To(Succeed())
	w.clock.Step(10 * 365 * day)

	restarted := w.keeper(servingcert.Options{})
	g.Expect(restarted.Ensure(t.Context())).To(Succeed())

	for _, bundle := range w.bundles(g) {
		expectTrusted(g, served(g, restarted), bundle, "capstan-webhook.capstan-system.svc", w.clock.Now())
	}
}

func TestACertificateFromTheFutureIsReplaced(t *testing.T) {
	g, w := newWorld(t)
	g.Expect(w.keeper(servingcert.Options{}).Ensure(t.Context())).To(Succeed())
	w.clock.SetTime(start.Add(-30 * day))

	keeper := w.keeper(servingcert.Options{})
	g.Expect(keeper.Ensure(t.Context())).To(Succeed())

	for _, bundle := range w.bundles(g) {
		expectTrusted(g, served(g, keeper), bundle, "capstan-webhook.capstan-system.svc", w.clock.Now())
	}
}

func TestDamageToTheSecretIsRepaired(t *testing.T) {
	damages := map[string]func(*corev1.Secret){
		"everything gone":           func(s *corev1.Secret) { s.Data = nil },
		"authority unreadable":      func(s *corev1.Secret) { s.Data["ca.crt"] = []byte("no certificate") },
		"authority's key gone":      func(s *corev1.Secret) { delete(s.Data, "ca.key") },
		"keys swapped":              func(s *corev1.Secret) { s.Data["tls.key"], s.Data["ca.key"] = s.Data["ca.key"], s.Data["tls.key"] },
		"leaf in authority's place": func(s *corev1.Secret) { s.Data["ca.crt"], s.Data["ca.key"] = s.Data["tls.crt"], s.Data["tls.key"] },
		"serving key unreadable": func(s *corev1.Secret) {
			s.Data["tls.key"] = []byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n")
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			g, w := newWorld(t)
			keeper := w.keeper(servingcert.Options{})
			g.Expect(keeper.Ensure(t.Context())).To(Succeed())
			secret := w.secret(g)
			damage(secret)
			secret.Data = withEntry(secret.Data, "kept", []byte("someone's own"))
			g.Expect(w.client.Update(t.Context(), secret)).To(Succeed())

			g.Expect(keeper.Ensure(t.Context())).To(Succeed())

			for _, bundle := range w.bundles(g) {
				expectTrusted(g, served(g, keeper), bundle, "capstan-webhook.capstan-system.svc", start)
			}
			g.Expect(w.secret(g).Data).To(HaveKeyWithValue("kept", []byte("someone's own")))
			again := served(g, keeper)
			g.Expect(keeper.Ensure(t.Context())).To(Succeed())
			g.Expect(served(g, keeper).Raw).To(Equal(again.Raw), "repaired once")
		})
	}
}

func TestBrokenTrustIsRepairedAndOtherConfigurationsAreLeftAlone(t *testing.T) {
	g, w := newWorld(t)
	keeper := w.keeper(servingcert.Options{})
	g.Expect(keeper.Ensure(t.Context())).To(Succeed())
	before := w.bundles(g)

	w.breakTrust(g)
	g.Expect(keeper.Ensure(t.Context())).To(Succeed())

	g.Expect(w.bundles(g)).To(Equal(before))
	foreign := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	g.Expect(w.client.Get(t.Context(), client.ObjectKey{Name: "foreign"}, foreign)).To(Succeed())
	g.Expect(foreign.Webhooks[0].ClientConfig.CABundle).To(BeEmpty())
}

func TestALookThatFindsNothingToDoWritesNothing(t *testing.T) {
	g, w := newWorld(t)
	keeper := w.keeper(servingcert.Options{})
	g.Expect(keeper.Ensure(t.Context())).To(Succeed())
	writes, reads := w.writes.Load(), w.fullReads.Load()

	g.Expect(keeper.Ensure(t.Context())).To(Succeed())

	g.Expect(w.writes.Load()).To(Equal(writes))
	g.Expect(w.fullReads.Load()).To(Equal(reads), "CRDs are read in full only when they changed")
}

func TestAManagerOutsideTheClusterIsCalledByURL(t *testing.T) {
	g, w := newWorld(t)
	outside := w.keeper(servingcert.Options{BaseURL: "https://127.0.0.1:9443/hooks/"})
	g.Expect(outside.Ensure(t.Context())).To(Succeed())

	g.Expect(w.urls(g)).To(ConsistOf(
		"https://127.0.0.1:9443/hooks/mutate-thing", "https://127.0.0.1:9443/hooks/validate-thing", "https://127.0.0.1:9443/hooks/convert"))
	expectTrusted(g, served(g, outside), w.bundles(g)[0], "127.0.0.1", start)

	moved := w.keeper(servingcert.Options{BaseURL: "https://localhost:1234/hooks"})
	g.Expect(moved.Ensure(t.Context())).To(Succeed())
	g.Expect(w.urls(g)).To(ConsistOf(
		"https://localhost:1234/hooks/mutate-thing", "https://localhost:1234/hooks/validate-thing", "https://localhost:1234/hooks/convert"))
	expectTrusted(g, served(g, moved), w.bundles(g)[0], "localhost", start)
}

func TestAManagerThatMovesIntoTheClusterIsCalledByServiceAgain(t *testing.T) {
	g, w := newWorld(t)
	g.Expect(w.keeper(servingcert.Options{BaseURL: "https://127.0.0.1:9443"}).Ensure(t.Context())).To(Succeed())

	g.Expect(w.keeper(servingcert.Options{}).Ensure(t.Context())).To(Succeed())

	g.Expect(w.urls(g)).To(BeEmpty())
	g.Expect(w.services(g)).To(HaveEach("capstan-system/capstan-webhook"))
	g.Expect(w.paths(g)).To(ConsistOf("/mutate-thing", "/validate-thing", "/convert"))
}

func TestAUselessBaseURLIsRefused(t *testing.T) {
	for _, base := range []string{"http://127.0.0.1:9443", "127.0.0.1:9443", "https://", "https://user:word@host", "https://host?x=y", "https://host/#x"} {
		t.Run(base, func(t *testing.T) {
			g, w := newWorld(t)
			_, err := servingcert.New(servingcert.Options{Client: w.client, Clock: w.clock, BaseURL: base})
			g.Expect(err).To(MatchError(ContainSubstring("base URL")))
			g.Expect(err.Error()).NotTo(ContainSubstring("word"))
		})
	}
}

func TestTheFormerCertificateIsServedUntilANewAuthorityIsTrusted(t *testing.T) {
	g, w := newWorld(t)
	keeper := w.keeper(servingcert.Options{})
	g.Expect(keeper.Ensure(t.Context())).To(Succeed())
	w.clock.Step(4*365*day - 15*day)
	g.Expect(keeper.Ensure(t.Context())).To(Succeed())
	former := served(g, keeper)
	w.clock.Step(16 * day)

	w.refusePatches.Store(true)
	g.Expect(keeper.Ensure(t.Context())).To(MatchError(ContainSubstring("things.capstan.dev")))
	g.Expect(served(g, keeper).Raw).To(Equal(former.Raw))

	w.refusePatches.Store(false)
	g.Expect(keeper.Ensure(t.Context())).To(Succeed())
	g.Expect(served(g, keeper).Raw).NotTo(Equal(former.Raw))
}

func TestNothingIsServedBeforeTheFirstLook(t *testing.T) {
	g, w := newWorld(t)
	keeper := w.keeper(servingcert.Options{})

	_, err := keeper.GetCertificate(&tls.ClientHelloInfo{})
	g.Expect(err).To(MatchError("no serving certificate yet"))
	g.Expect(keeper.Check(nil)).NotTo(Succeed())

	g.Expect(keeper.Ensure(t.Context())).To(Succeed())
	g.Expect(keeper.Check(nil)).To(Succeed())
	w.clock.Step(servingcert.Lifetime)
	g.Expect(keeper.Check(nil)).NotTo(Succeed())
}

func TestTheRunningKeeperRenewsAndRepairs(t *testing.T) {
	g, w := newWorld(t)
	keeper := w.keeper(servingcert.Options{})
	g.Expect(keeper.Ensure(t.Context())).To(Succeed())
	first := served(g, keeper)

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- keeper.Start(ctx) }()

	g.Eventually(w.clock.HasWaiters).Should(BeTrue())
	w.clock.Step(servingcert.Lifetime - servingcert.RenewBefore + time.Minute)
	g.Eventually(func() []byte { return served(g, keeper).Raw }).ShouldNot(Equal(first.Raw))

	g.Eventually(w.clock.HasWaiters).Should(BeTrue())
	intact := w.bundles(g)
	w.breakTrust(g)
	w.refusePatches.Store(true)
	tried := w.writes.Load()
	w.clock.Step(servingcert.DefaultCheckInterval)
	g.Eventually(w.writes.Load).Should(BeNumerically(">", tried))

	g.Eventually(w.clock.HasWaiters).Should(BeTrue())
	w.refusePatches.Store(false)
	w.clock.Step(servingcert.DefaultCheckInterval)
	g.Eventually(func() []string { return w.bundles(g) }).Should(Equal(intact))

	stop()
	g.Eventually(ended).Should(Receive(BeNil()))
}

func withEntry(data map[string][]byte, key string, value []byte) map[string][]byte {
	if data == nil {
		data = map[string][]byte{}
	}
	data[key] = value
	return data
}

// An interceptor that counts and, when told so, refuses.
func (w *world) intercept() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			if _, isSecret := object.(*corev1.Secret); !isSecret {
				w.fullReads.Add(1)
			}
			return c.Get(ctx, key, object, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			w.writes.Add(1)
			return c.Create(ctx, object, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.UpdateOption) error {
			w.writes.Add(1)
			return c.Update(ctx, object, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			w.writes.Add(1)
			if w.refusePatches.Load() {
				return errors.New("refused")
			}
			return c.Patch(ctx, object, patch, opts...)
		},
	}
}
