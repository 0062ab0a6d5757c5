package loadbalancer_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// servicePort is the port of Services on their virtual addresses.
const servicePort = 8080

// widen gives the site so many virtual addresses.
func (s *site) widen(ctx context.Context, vips int) {
	GinkgoHelper()
	network := &capstanv1.LogicalNetwork{ObjectMeta: metav1.ObjectMeta{Name: s.network}}
	testenv.Update(ctx, env, network, func(n *capstanv1.LogicalNetwork) {
		n.Spec.Subnets[0].VIPRanges[0].End = s.address(99 + vips)
	})
}

// claimFor claims a virtual address for a Service, as whoever looks after Services
// does, and waits for it.
func (s *site) claimFor(ctx context.Context, lb *capstanv1.LoadBalancer, service string) (*ipamv1.IPAddressClaim, string) {
	GinkgoHelper()
	claim := &ipamv1.IPAddressClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: lb.Name + "-vip-" + service,
			Labels:          map[string]string{capstanv1.LoadBalancerLabel: lb.Name, capstanv1.ServiceVIPLabel: service},
			Annotations:     map[string]string{capstanv1.AddressRangeAnnotation: capstanv1.AddressRangeVIPs},
			Finalizers:      []string{capstanv1.LoadBalancerFinalizer, capstanv1.IPAddressClaimFinalizer},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(lb, capstanv1.GroupVersion.WithKind("LoadBalancer"))},
		},
		Spec: ipamv1.IPAddressClaimSpec{PoolRef: ipamv1.IPPoolReference{APIGroup: capstanv1.GroupVersion.Group, Kind: "LogicalNetwork", Name: s.network}},
	}
	Expect(k8s.Create(ctx, claim)).To(Succeed())
	Eventually(testenv.Get(ctx, env, claim)).Should(HaveField("Status.AddressRef.Name", claim.Name))
	address := &ipamv1.IPAddress{}
	Expect(k8s.Get(ctx, client.ObjectKeyFromObject(claim), address)).To(Succeed())
	return claim, address.Spec.Address
}

// newNode makes a node that answers with its name on a node port.
func (s *site) newNode(ctx context.Context, name string) (node capstanv1.LoadBalancerNode, nodePort int32) {
	GinkgoHelper()
	address := s.newVMAddress()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(address, "0"))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(listener.Close)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, name)
			_ = conn.Close()
		}
	}()
	return capstanv1.LoadBalancerNode{Name: name, Address: address}, int32(listener.Addr().(*net.TCPAddr).Port)
}

func setServices(ctx context.Context, lb *capstanv1.LoadBalancer, nodes []capstanv1.LoadBalancerNode, services ...capstanv1.LoadBalancerService) {
	GinkgoHelper()
	testenv.Update(ctx, env, fetch(ctx, lb), func(lb *capstanv1.LoadBalancer) { lb.Spec.Services, lb.Spec.Nodes = services, nodes })
}

func service(name, vip string, nodePort int32) capstanv1.LoadBalancerService {
	return capstanv1.LoadBalancerService{Name: name, VIP: vip, Ports: []capstanv1.LoadBalancerServicePort{{Port: servicePort, NodePort: nodePort}}}
}

// answerOf returns who answers on the port of Services of an address.
func answerOf(vip string) func() string {
	return func() string {
		dialer := net.Dialer{Timeout: time.Second}
		conn, err := dialer.Dial("tcp", net.JoinHostPort(vip, fmt.Sprint(servicePort)))
		if err != nil {
			return ""
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		answer, _ := io.ReadAll(conn)
		return string(answer)
	}
}

var _ = Describe("A LoadBalancer that is told of Services", func() {
	It("carries them on virtual addresses that it holds", func(ctx SpecContext) {
		s := newSite(ctx)
		s.widen(ctx, 3)
		lb := s.newLoadBalancer(ctx)
		s.boot(ctx, s.waitForVMs(ctx, 1)[0])
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		_, vip := s.claimFor(ctx, lb, "web")
		node, nodePort := s.newNode(ctx, "worker-1")
		setServices(ctx, lb, []capstanv1.LoadBalancerNode{node}, service("default/web", vip, nodePort))
		Eventually(answerOf(vip)).Should(Equal("worker-1"))
		Eventually(condition(ctx, lb, capstanv1.ServicesPlannedCondition)).Should(Equal("True Planned"))
		Eventually(func(g Gomega) {
			now := fetch(ctx, lb)
			g.Expect(now.Status.PlannedGeneration).To(Equal(now.Generation))
			g.Expect(now.Status.Instances[0].AppliedGeneration).To(Equal(now.Status.PlanGeneration))
			g.Expect(now.Status.VIPs).To(HaveExactElements(Not(Equal(vip)), vip))
		}).Should(Succeed())

		By("leaving one out whose address is not the load balancer's")
		setServices(ctx, lb, []capstanv1.LoadBalancerNode{node}, service("default/web", vip, nodePort), service("default/stolen", s.address(50), nodePort))
		Eventually(condition(ctx, lb, capstanv1.ServicesPlannedCondition)).Should(Equal("False ServicesRefused"))
		Expect(message(ctx, lb, capstanv1.ServicesPlannedCondition)()).To(And(
			ContainSubstring(`Service "default/stolen": `+s.address(50)+" is not held"), Not(ContainSubstring("web"))))
		Expect(fetch(ctx, lb).Status.RefusedServices).To(ConsistOf(HaveField("Name", "default/stolen")))
		Expect(condition(ctx, lb, capstanv1.ReadyCondition)()).To(Equal("True Ready"))
		Expect(answerOf(vip)()).To(Equal("worker-1"))

		By("carrying none any more")
		setServices(ctx, lb, nil)
		Eventually(answerOf(vip)).Should(BeEmpty())
		Eventually(condition(ctx, lb, capstanv1.ServicesPlannedCondition)).Should(BeEmpty())
	})

	It("frees an address once no VM can hold it", func(ctx SpecContext) {
		s := newSite(ctx)
		s.widen(ctx, 2)
		lb := s.newLoadBalancer(ctx)
		g := s.boot(ctx, s.waitForVMs(ctx, 1)[0])
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		claim, vip := s.claimFor(ctx, lb, "web")
		node, nodePort := s.newNode(ctx, "worker-1")
		setServices(ctx, lb, []capstanv1.LoadBalancerNode{node}, service("default/web", vip, nodePort))
		Eventually(answerOf(vip)).Should(Equal("worker-1"))

		By("waiting for a VM that does not answer")
		g.powerOff()
		Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(HavePrefix("False"))
		setServices(ctx, lb, nil)
		Expect(k8s.Delete(ctx, claim)).To(Succeed())
		Eventually(func() int64 { return fetch(ctx, lb).Status.PlannedGeneration }).Should(Equal(fetch(ctx, lb).Generation))
		Consistently(func() []string { return s.reservations(ctx) }, "300ms").Should(ContainElement(vip))

		By("its coming back, and being told")
		Expect(g.start(s)).To(Succeed())
		Eventually(func() []string { return s.reservations(ctx) }).ShouldNot(ContainElement(vip))
	})

	It("frees all addresses when it is deleted, and asks nobody", func(ctx SpecContext) {
		s := newSite(ctx)
		s.widen(ctx, 3)
		lb := s.newLoadBalancer(ctx)
		vm := s.waitForVMs(ctx, 1)[0]
		hold(ctx, &vm)
		s.boot(ctx, vm)
		_, first := s.claimFor(ctx, lb, "first")
		_, second := s.claimFor(ctx, lb, "second")
		setServices(ctx, lb, nil, service("default/first", first, 30000), service("default/second", second, 30001))
		Eventually(condition(ctx, lb, capstanv1.ServicesPlannedCondition)).Should(Equal("True Planned"))
		Expect(k8s.Delete(ctx, lb)).To(Succeed())
		Consistently(func() []string { return s.reservations(ctx) }, "300ms").Should(ContainElements(first, second))
		letGo(ctx, &vm)
		Eventually(isGone(ctx, lb)).Should(BeTrue())
		Expect(s.reservations(ctx)).To(BeEmpty())
	})

	It("lets go of a claim that was made for it when it was gone", func(ctx SpecContext) {
		s := newSite(ctx)
		s.widen(ctx, 2)
		lb := s.newLoadBalancer(ctx)
		s.waitForVMs(ctx, 1)
		uid := fetch(ctx, lb).UID
		Expect(k8s.Delete(ctx, lb)).To(Succeed())
		Eventually(isGone(ctx, lb)).Should(BeTrue())
		lb.UID = uid
		late, vip := s.claimFor(ctx, lb, "late")
		Expect(s.reservations(ctx)).To(ConsistOf(vip))

		By("the garbage collector deleting it")
		Expect(k8s.Delete(ctx, late)).To(Succeed())
		Eventually(isGone(ctx, late)).Should(BeTrue())
		Expect(s.reservations(ctx)).To(BeEmpty())
	})
})
