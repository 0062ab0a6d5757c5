package trust_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/trust"
)

const namespace = "capstan-system"

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func keeper(c client.Client, now time.Time) *trust.CAKeeper {
	return &trust.CAKeeper{Client: c, Live: c, Namespace: namespace, Clock: clocktesting.NewFakeClock(now)}
}

func identity(t *testing.T, k *trust.CAKeeper) *pki.ManagerIdentity {
	t.Helper()
	m, err := k.Identity(t.Context(), "manager", nil)
	if err != nil {
		t.Fatalf("make the identity: %v", err)
	}
	return m
}

func TestTheCAIsMadeOnce(t *testing.T) {
	g := NewWithT(t)
	c := fake.NewClientBuilder().WithScheme(scheme.Scheme).Build()
	first, second := identity(t, keeper(c, noon)), identity(t, keeper(c, noon.Add(time.Hour)))
	g.Expect(second.CA().Certificate().Raw).To(Equal(first.CA().Certificate().Raw))
}

func TestOfTwoManagersThatMakeTheCAAtOnceBothUseOne(t *testing.T) {
	g := NewWithT(t)
	c := fake.NewClientBuilder().WithScheme(scheme.Scheme).Build()
	var faster *pki.ManagerIdentity
	racing := interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, w client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			faster = identity(t, keeper(c, noon))
			return w.Create(ctx, obj, opts...)
		},
	})
	slower := identity(t, keeper(racing, noon))
	g.Expect(slower.CA().Pin()).To(Equal(faster.CA().Pin()))
}

func TestAnOldCAIsReissuedWithItsKey(t *testing.T) {
	g := NewWithT(t)
	c := fake.NewClientBuilder().WithScheme(scheme.Scheme).Build()
	old := identity(t, keeper(c, noon))
	later := noon.Add(pki.CALifetime + 24*time.Hour)
	renewed := identity(t, keeper(c, later))
	g.Expect(renewed.CA().Pin()).To(Equal(old.CA().Pin()))
	g.Expect(renewed.CA().NeedsReissue(later)).To(BeFalse())
	g.Expect(keeper(c, later).Refresh(t.Context(), old)).To(Succeed())
	g.Expect(old.CA().Certificate().Raw).To(Equal(renewed.CA().Certificate().Raw), "a manager that runs takes the new one over")
}

func TestADamagedCAIsNeverReplaced(t *testing.T) {
	g := NewWithT(t)
	damaged := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: trust.CASecret},
		Data:       map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("hush")},
	}
	c := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(damaged).Build()
	_, err := keeper(c, noon).Identity(t.Context(), "manager", nil)
	g.Expect(err).To(MatchError(SatisfyAll(ContainSubstring("damaged"), Not(ContainSubstring("hush")))))
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(damaged), damaged)).To(Succeed())
	g.Expect(damaged.Data).To(HaveKeyWithValue("tls.key", []byte("hush")))
}

func host(uid types.UID) *capstanv1.HyperVHost {
	return &capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: "hv1", UID: uid}}
}

func TestAPinIsThereForTheNextManager(t *testing.T) {
	g := NewWithT(t)
	c := fake.NewClientBuilder().WithScheme(scheme.Scheme).Build()
	agent := trust.HostAgent(namespace, host("1"))
	pins := &trust.Pins{Client: c, Live: c}
	g.Expect(pins.Pin(t.Context(), agent)).To(BeZero())
	g.Expect(pins.Record(t.Context(), agent, pki.Pin{1})).To(Succeed())
	g.Expect(pins.Record(t.Context(), agent, pki.Pin{2})).To(Succeed(), "an agent that was installed anew")
	g.Expect(pins.Pin(t.Context(), agent)).To(Equal(pki.Pin{2}))
	g.Expect((&trust.Pins{Client: c, Live: c}).Pin(t.Context(), agent)).To(Equal(pki.Pin{2}))

	g.Expect(pins.Forget(t.Context(), agent)).To(Succeed())
	g.Expect(pins.Pin(t.Context(), agent)).To(BeZero())
}

func TestAHostOfTheSameNameIsNotTrustedByTheOldPin(t *testing.T) {
	g := NewWithT(t)
	c := fake.NewClientBuilder().WithScheme(scheme.Scheme).Build()
	pins := &trust.Pins{Client: c, Live: c}
	g.Expect(pins.Record(t.Context(), trust.HostAgent(namespace, host("1")), pki.Pin{1})).To(Succeed())
	g.Expect(pins.Pin(t.Context(), trust.HostAgent(namespace, host("2")))).To(BeZero())
}

func TestAPinThatIsNotStoredIsNotUsed(t *testing.T) {
	g := NewWithT(t)
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "lb-agent"}}
	c := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(foreign).Build()
	pins := &trust.Pins{Client: c, Live: c}
	agent := trust.Instance(&capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "lb", UID: "1"}})
	g.Expect(pins.Record(t.Context(), agent, pki.Pin{1})).To(MatchError(ContainSubstring("left alone")))
	g.Expect(pins.Pin(t.Context(), agent)).To(BeZero())
}
