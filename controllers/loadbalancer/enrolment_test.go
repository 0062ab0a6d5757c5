package loadbalancer_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbclient"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/trust"
)

var errCrash = errors.New("the manager ends here")

// enrol does what the manager does, as far as record lets it.
func (g *guest) enrol(ctx context.Context, manager *pki.ManagerIdentity, record func(context.Context, pki.Pin) error) error {
	token, err := pki.ParseToken(g.config.EnrolmentToken)
	Expect(err).NotTo(HaveOccurred())
	return lbclient.Enrol(ctx, lbclient.Target{
		Address: g.config.Listen, Agent: pki.AgentRef{Name: g.vm.Name, Hosts: g.vm.Status.Addresses},
	}, manager, token, record)
}

var _ = Describe("The enrolment of a load-balancer VM", func() {
	DescribeTable("goes on after a crash", func(ctx SpecContext, crash func(context.Context, *guest)) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		vm := s.waitForVMs(ctx, 1)[0]
		g := s.install(ctx, &vm)
		crash(ctx, g)
		setVMStatus(ctx, g.vm, runs)
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
	},
		Entry("before the pin was recorded", func(ctx context.Context, g *guest) {
			Expect(g.enrol(ctx, identity, func(context.Context, pki.Pin) error { return errCrash })).To(MatchError(errCrash))
		}),
		Entry("between the pin and the certificate", func(ctx context.Context, g *guest) {
			Expect(g.enrol(ctx, identity, func(ctx context.Context, pin pki.Pin) error {
				return errors.Join(pins.Record(ctx, trust.Instance(g.vm), pin), errCrash)
			})).To(MatchError(errCrash))
		}),
		Entry("between the certificate and the plan", func(ctx context.Context, g *guest) {
			Expect(g.enrol(ctx, identity, func(ctx context.Context, pin pki.Pin) error {
				return pins.Record(ctx, trust.Instance(g.vm), pin)
			})).To(Succeed())
		}),
		Entry("that lasted longer than the certificate", func(ctx context.Context, g *guest) {
			yearAgo := func() time.Time { return time.Now().AddDate(-1, 0, 0) }
			then, err := pki.NewManager(pki.ManagerOptions{Name: "manager", CA: identity.CA(), Now: yearAgo})
			Expect(err).NotTo(HaveOccurred())
			Expect(g.enrol(ctx, then, func(ctx context.Context, pin pki.Pin) error {
				return pins.Record(ctx, trust.Instance(g.vm), pin)
			})).To(Succeed())
		}),
	)

	It("waits for the guest to come up", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		vm := s.waitForVMs(ctx, 1)[0]
		g := s.prepare(ctx, &vm)
		setVMStatus(ctx, g.vm, runs)
		Eventually(message(ctx, lb, capstanv1.ReadyCondition)).Should(Equal(vm.Name + ": its agent does not answer at " + g.vm.Status.Addresses[0] + ":9443"))
		Expect(condition(ctx, lb, capstanv1.ReadyCondition)()).To(Equal("False WaitingForInstances"))
		Expect(fetch(ctx, lb).Status.Instances[0].Role).To(Equal("Unknown"))
		g.powerOn(s, GinkgoT().TempDir())
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
	})

	It("is refused to a VM with another key, which is told and left alone", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		vm := s.waitForVMs(ctx, 1)[0]
		g := s.install(ctx, &vm)
		Expect(pins.Record(ctx, trust.Instance(g.vm), pki.Pin{1})).To(Succeed())
		setVMStatus(ctx, g.vm, runs)
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("False AgentCertificateMismatch"))
		Expect(fetch(ctx, lb).Status.Instances[0].Role).To(Equal("Unknown"))
		Expect(s.vms(ctx)).To(HaveLen(1))
	})

	It("replaces a VM whose token nobody knows any more", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		vm := s.waitForVMs(ctx, 1)[0]
		g := s.install(ctx, &vm)
		setVMStatus(ctx, g.vm, func(vm *capstanv1.VirtualMachine) { vm.Status.SeedHash = "made" })
		key := bootstrapKey(g.vm)
		Expect(k8s.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}})).To(Succeed())
		setVMStatus(ctx, g.vm, runs)
		Eventually(func() string { return other(s.vms(ctx), vm.Name).Name }).ShouldNot(BeEmpty())
		s.boot(ctx, s.waitForVMs(ctx, 1)[0])
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
	})
})
