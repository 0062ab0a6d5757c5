package service_test

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"time"

	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func annotate(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) { metav1.SetMetaDataAnnotation(&s.ObjectMeta, key, value) }
}

var _ = Describe("A Service of type LoadBalancer", func() {
	It("gets an address, which is published once it is carried, and gives it back", func(ctx SpecContext) {
		s := newSite(ctx)
		loads.pause(s.namespace, true)
		s.expose(ctx, "web", func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = []string{"192.0.2.0/24"} })
		Eventually(func() map[string]capstanv1.LoadBalancerService { return s.told(ctx) }).Should(HaveKey("default/web"))
		entry := s.told(ctx)["default/web"]
		Expect(entry.VIP).To(HavePrefix("10.20.0.10"))
		Expect(entry.Ports).To(HaveExactElements(capstanv1.LoadBalancerServicePort{Port: 80, NodePort: entry.Ports[0].NodePort}))
		Expect(entry.AllowedSources).To(ConsistOf("192.0.2.0/24"))
		Expect(entry.HealthCheckPort).To(BeEquivalentTo(10256))
		Expect(s.nodes(ctx)()).To(ConsistOf("worker-1 10.20.0.11"))
		Consistently(s.published(ctx, "web"), "300ms").Should(BeEmpty(), "nobody carries it yet")

		loads.pause(s.namespace, false)
		testenv.Update(ctx, env, s.loadBalancer(ctx), func(lb *capstanv1.LoadBalancer) { lb.Labels = map[string]string{"look": "again"} })
		Eventually(s.published(ctx, "web")).Should(Equal(entry.VIP))
		service, err := s.CoreV1().Services("default").Get(ctx, "web", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(service.Status.LoadBalancer.Ingress[0].IPMode).To(Equal(ptr.To(corev1.LoadBalancerIPModeProxy)))

		By("being published again after somebody took it out")
		_, err = s.CoreV1().Services("default").Patch(ctx, "web", types.MergePatchType, []byte(`{"status":{"loadBalancer":null}}`), metav1.PatchOptions{}, "status")
		Expect(err).NotTo(HaveOccurred())
		Eventually(s.published(ctx, "web")).Should(Equal(entry.VIP))

		By("following its ports")
		s.change(ctx, "web", func(s *corev1.Service) { s.Spec.Ports[0].Port = 8080 })
		Eventually(func() int32 { return s.told(ctx)["default/web"].Ports[0].Port }).Should(BeEquivalentTo(8080))
		Expect(s.told(ctx)["default/web"].VIP).To(Equal(entry.VIP))

		By("being deleted")
		Expect(s.CoreV1().Services("default").Delete(ctx, "web", metav1.DeleteOptions{})).To(Succeed())
		Eventually(func() bool {
			_, err := s.CoreV1().Services("default").Get(ctx, "web", metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		}).Should(BeTrue())
		Eventually(func() map[string]capstanv1.LoadBalancerService { return s.told(ctx) }).Should(BeEmpty())
		Eventually(s.reserved(ctx)).Should(BeEmpty())
		Expect(s.nodes(ctx)()).To(BeEmpty(), "nobody needs nodes to which nothing is sent")
	})

	It("is told what it waits for", func(ctx SpecContext) {
		s := newSite(ctx)
		loads.pause(s.namespace, true)
		s.expose(ctx, "web")
		Eventually(s.notes(ctx, "web"), "15s").Should(ContainElement("WaitingForLoadBalancer: Waiting for the load balancer to plan this Service"))
	})

	It("leaves alone what others apply to the LoadBalancer, and is left alone", func(ctx SpecContext) {
		s := newSite(ctx)
		s.expose(ctx, "web")
		Eventually(s.published(ctx, "web")).ShouldNot(BeEmpty())
		for replicas := range int32(3) {
			s.apply(ctx, replicas+1)
		}
		Expect(s.told(ctx)).To(HaveLen(1), "whoever makes the LoadBalancer takes nothing away")
		s.expose(ctx, "other")
		Eventually(s.published(ctx, "other")).ShouldNot(BeEmpty())
		lb := s.loadBalancer(ctx)
		Expect(lb.Spec.Replicas).To(Equal(ptr.To[int32](3)))
		Expect(s.told(ctx)).To(HaveLen(2))

		By("somebody else taking out what it wrote")
		testenv.Update(ctx, env, lb, func(lb *capstanv1.LoadBalancer) { lb.Spec.Services, lb.Spec.Nodes = nil, nil })
		Eventually(func() map[string]capstanv1.LoadBalancerService { return s.told(ctx) }).Should(HaveLen(2))
	})

	It("gets the address that it asks for, keeps it, and moves only to another one", func(ctx SpecContext) {
		s := newSite(ctx)
		s.expose(ctx, "first", func(s *corev1.Service) { s.Spec.LoadBalancerIP = "10.20.0.105" })
		Eventually(s.published(ctx, "first")).Should(Equal("10.20.0.105"))
		s.expose(ctx, "second")
		Eventually(s.published(ctx, "second")).Should(Equal("10.20.0.100"))

		By("asking for what it has")
		s.change(ctx, "second", annotate(capstanv1.LoadBalancerIPAnnotation, "10.20.0.100"))
		s.change(ctx, "second", func(s *corev1.Service) { s.Spec.Ports[0].Port = 81 })
		Eventually(func() int32 { return s.told(ctx)["default/second"].Ports[0].Port }).Should(BeEquivalentTo(81))
		Expect(s.published(ctx, "second")()).To(Equal("10.20.0.100"))
		Expect(s.claims(ctx)).To(HaveLen(2))

		By("asking for somebody else's")
		s.change(ctx, "second", annotate(capstanv1.LoadBalancerIPAnnotation, "10.20.0.105"))
		Eventually(s.warnings(ctx, "second")).Should(ContainElement(And(HavePrefix("SyncLoadBalancerFailed"), ContainSubstring("10.20.0.105"), ContainSubstring("taken"))))
		Expect(s.published(ctx, "second")()).To(Equal("10.20.0.100"), "what it has it keeps")

		By("asking for a free one")
		s.change(ctx, "second", annotate(capstanv1.LoadBalancerIPAnnotation, "10.20.0.107"))
		Eventually(s.published(ctx, "second")).Should(Equal("10.20.0.107"))
		Eventually(s.reserved(ctx)).Should(ConsistOf("10.20.0.105", "10.20.0.107"))
	})

	It("is told why there is no address for it", func(ctx SpecContext) {
		s := newSite(ctx, func(n *capstanv1.LogicalNetwork) { n.Spec.Subnets[0].VIPRanges[0].End = "10.20.0.100" })
		s.expose(ctx, "first")
		Eventually(s.published(ctx, "first")).Should(Equal("10.20.0.100"))
		s.expose(ctx, "second")
		Eventually(s.warnings(ctx, "second")).Should(ContainElement(ContainSubstring("is full: all 1 addresses of its vipRanges are taken")))
		s.expose(ctx, "third", func(s *corev1.Service) { s.Spec.LoadBalancerIP = "192.0.2.1" })
		Eventually(s.warnings(ctx, "third")).Should(ContainElement(ContainSubstring("is not one of the virtual addresses")))
	})

	It("shares an address with others of its namespace over different ports", func(ctx SpecContext) {
		s := newSite(ctx)
		shared := annotate(capstanv1.SharedVIPAnnotation, "edge")
		s.expose(ctx, "web", shared)
		Eventually(s.published(ctx, "web")).ShouldNot(BeEmpty())
		vip := s.published(ctx, "web")()
		s.expose(ctx, "ssh", shared, func(s *corev1.Service) { s.Spec.Ports[0].Port = 22 })
		Eventually(s.published(ctx, "ssh")).Should(Equal(vip))
		s.expose(ctx, "elsewhere", shared, func(s *corev1.Service) { s.Namespace = "team" })
		Eventually(func() string { return s.told(ctx)["team/elsewhere"].VIP }).ShouldNot(Or(BeEmpty(), Equal(vip)))

		By("refusing a port that is taken, and an address that is not the shared one")
		s.expose(ctx, "web2", shared)
		Eventually(s.warnings(ctx, "web2")).Should(ContainElement(ContainSubstring("port 80 of " + vip + " is Service default/web's")))
		s.expose(ctx, "far", shared, func(s *corev1.Service) { s.Spec.LoadBalancerIP, s.Spec.Ports[0].Port = "10.20.0.109", 23 })
		Eventually(s.warnings(ctx, "far")).Should(ContainElement(ContainSubstring("share this address have " + vip)))

		By("one of them going")
		Expect(s.CoreV1().Services("default").Delete(ctx, "web", metav1.DeleteOptions{})).To(Succeed())
		Eventually(func() map[string]capstanv1.LoadBalancerService { return s.told(ctx) }).ShouldNot(HaveKey("default/web"))
		Expect(s.reserved(ctx)()).To(ContainElement(vip))
		Expect(s.published(ctx, "ssh")()).To(Equal(vip))

		By("coming to share what it had alone")
		s.expose(ctx, "alone", func(s *corev1.Service) { s.Spec.Ports[0].Port = 25 })
		Eventually(s.published(ctx, "alone")).ShouldNot(BeEmpty())
		had := s.published(ctx, "alone")()
		purposes := s.purposes(ctx)
		s.change(ctx, "alone", annotate(capstanv1.SharedVIPAnnotation, "mail"))
		Eventually(func() []string { return s.purposes(ctx) }).ShouldNot(ConsistOf(purposes))
		s.expose(ctx, "imap", annotate(capstanv1.SharedVIPAnnotation, "mail"), func(s *corev1.Service) { s.Spec.Ports[0].Port = 993 })
		Eventually(s.published(ctx, "imap")).Should(Equal(had))
		Expect(s.published(ctx, "alone")()).To(Equal(had))
	})

	DescribeTable("is refused in words, and claims nothing",
		func(ctx SpecContext, change func(*corev1.Service), want string) {
			s := newSite(ctx)
			s.expose(ctx, "odd", change)
			Eventually(s.warnings(ctx, "odd")).Should(ContainElement(And(HavePrefix("SyncLoadBalancerFailed"), ContainSubstring(want), Not(ContainSubstring("\n")))))
			s.expose(ctx, "web")
			Eventually(s.published(ctx, "web")).ShouldNot(BeEmpty(), "others are not kept waiting")
			Expect(s.told(ctx)).NotTo(HaveKey("default/odd"))
			Expect(s.claims(ctx)).To(HaveLen(1))
			Expect(s.CoreV1().Services("default").Delete(ctx, "odd", metav1.DeleteOptions{})).To(Succeed())
			Eventually(func() bool {
				_, err := s.CoreV1().Services("default").Get(ctx, "odd", metav1.GetOptions{})
				return apierrors.IsNotFound(err)
			}).Should(BeTrue())
		},
		Entry("UDP", func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolUDP }, `carries TCP only, and not ports 80`),
		Entry("SCTP", func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolSCTP }, `carries TCP only, and not ports 80`),
		Entry("hostile sources", annotate(corev1.AnnotationLoadBalancerSourceRangesKey, "0.0.0.0/0 }\n  server x"), "is not a network"),
		Entry("a hostile address", annotate(capstanv1.LoadBalancerIPAnnotation, "10.20.0.101\nvirtual_router_id 1"), "is not an IPv4 address"),
	)

	It("is somebody else's with a class", func(ctx SpecContext) {
		s := newSite(ctx)
		s.expose(ctx, "theirs", func(s *corev1.Service) { s.Spec.LoadBalancerClass = ptr.To("example.org/other") })
		s.expose(ctx, "ours")
		Eventually(s.published(ctx, "ours")).ShouldNot(BeEmpty())
		Expect(s.told(ctx)).To(HaveLen(1))
		service, err := s.CoreV1().Services("default").Get(ctx, "theirs", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(service.Finalizers).To(BeEmpty())
	})

	It("takes two hundred in a few writes", func(ctx SpecContext) {
		s := newSite(ctx, func(n *capstanv1.LogicalNetwork) { n.Spec.Subnets[0].VIPRanges[0].End = "10.20.0.254" })
		const services = 200
		// They are all there when somebody comes to look, however long it took to make them.
		remote.set(s.cluster, nil)
		Eventually(running).Should(BeZero())
		for i := range services {
			s.expose(ctx, fmt.Sprintf("web-%d", i), annotate(capstanv1.SharedVIPAnnotation, fmt.Sprint(i/2)), func(s *corev1.Service) { s.Spec.Ports[0].Port = int32(1000 + i) })
		}
		begun := time.Now()
		remote.set(s.cluster, s.config)
		Eventually(func() int { return len(s.told(ctx)) }, "60s").Should(Equal(services))
		writes := tells.of(s.namespace)
		Eventually(func(g Gomega) {
			list, err := s.CoreV1().Services("default").List(ctx, metav1.ListOptions{})
			g.Expect(err).NotTo(HaveOccurred())
			for i := range list.Items {
				g.Expect(list.Items[i].Status.LoadBalancer.Ingress).To(HaveLen(1), list.Items[i].Name)
			}
		}, "60s").Should(Succeed())
		AddReportEntry("burst", fmt.Sprintf("%d Services in %s, %d writes", services, time.Since(begun).Round(time.Millisecond), writes))
		Expect(writes).To(BeNumerically("<=", services/5), "they are written in batches")
		Expect(s.claims(ctx)).To(HaveLen(services / 2))

		By("going as they came")
		for i := range services {
			Expect(s.CoreV1().Services("default").Delete(ctx, fmt.Sprintf("web-%d", i), metav1.DeleteOptions{})).To(Succeed())
		}
		Eventually(func() int { return len(s.told(ctx)) }, "60s").Should(BeZero())
		Eventually(s.reserved(ctx), "60s").Should(BeEmpty())
	}, SpecTimeout(3*time.Minute))
})

var _ = Describe("The nodes behind Services", func() {
	It("are those that take part, with those that leave drained", func(ctx SpecContext) {
		s := newSite(ctx)
		excluded := func(value string) func(*corev1.Node) {
			return func(n *corev1.Node) { n.Labels = map[string]string{corev1.LabelNodeExcludeBalancers: value} }
		}
		s.newNode(ctx, "control-plane", "10.20.0.12", excluded(""))
		s.newNode(ctx, "included", "10.20.0.13", excluded("false"))
		s.newNode(ctx, "hostile", "10.20.0.14\nserver x 10.0.0.1")
		s.newNode(ctx, "six", "2001:db8::1")
		s.expose(ctx, "web")
		Eventually(s.published(ctx, "web")).ShouldNot(BeEmpty())
		Expect(s.nodes(ctx)()).To(ConsistOf("included 10.20.0.13", "worker-1 10.20.0.11"))

		By("one joining, one being taken out, one leaving")
		s.newNode(ctx, "worker-2", "10.20.0.15")
		Eventually(s.nodes(ctx)).Should(ConsistOf("included 10.20.0.13", "worker-1 10.20.0.11", "worker-2 10.20.0.15"))
		s.label(ctx, "included", "true")
		Eventually(s.nodes(ctx)).Should(ConsistOf("worker-1 10.20.0.11", "worker-2 10.20.0.15"))
		machine := &clusterv1.Machine{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: s.namespace, Name: "worker-2", Finalizers: []string{"example.org/held"}, Labels: map[string]string{clusterv1.ClusterNameLabel: "shop"},
			},
			Spec: clusterv1.MachineSpec{
				ClusterName: "shop", Bootstrap: clusterv1.Bootstrap{DataSecretName: ptr.To("worker-2")},
				InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "HyperVMachine", Name: "worker-2"},
			},
		}
		env.Create(ctx, machine)
		testenv.UpdateStatus(ctx, env, machine, func(m *clusterv1.Machine) { m.Status.NodeRef.Name = "worker-2" })
		Expect(env.Client.Delete(ctx, machine)).To(Succeed())
		Eventually(s.nodes(ctx)).Should(ConsistOf("worker-1 10.20.0.11", "worker-2 10.20.0.15 draining"))
		Expect(s.CoreV1().Nodes().Delete(ctx, "worker-2", metav1.DeleteOptions{})).To(Succeed())
		Eventually(s.nodes(ctx)).Should(ConsistOf("worker-1 10.20.0.11"))
		testenv.Update(ctx, env, machine, func(m *clusterv1.Machine) { m.Finalizers = nil })
	})

	It("are VMs of the cluster, at an address that these have", func(ctx SpecContext) {
		s := newSite(ctx)
		is := func(id string) func(*corev1.Node) {
			return func(n *corev1.Node) { n.Spec.ProviderID = id }
		}
		for name, of := range map[string]struct {
			has, tells string
			with       func(*capstanv1.VirtualMachine)
		}{
			"late":      {has: "10.20.0.20", tells: "10.20.0.30"},
			"fake":      {has: "10.20.0.21", tells: "169.254.169.254"},
			"balances":  {has: "10.20.0.22", tells: "10.20.0.22", with: func(vm *capstanv1.VirtualMachine) { vm.Spec.Role = capstanv1.RoleLoadBalancer }},
			"steers":    {has: "10.20.0.24", tells: "10.20.0.24", with: func(vm *capstanv1.VirtualMachine) { vm.Spec.Role = capstanv1.RoleControlPlane }},
			"elsewhere": {has: "10.20.0.23", tells: "10.20.0.23", with: func(vm *capstanv1.VirtualMachine) { vm.Spec.ClusterName = "other" }},
		} {
			id := uuid.NewString()
			s.newVM(ctx, name, id, of.has, func(vm *capstanv1.VirtualMachine) {
				if of.with != nil {
					of.with(vm)
				}
			})
			s.newNode(ctx, name, of.tells, is(capstanv1.ProviderIDScheme+id))
		}
		s.newNode(ctx, "nobodys", "10.20.0.31", is(""))
		s.newNode(ctx, "theirs", "10.20.0.32", is("vsphere://1b4e28ba"))
		s.newNode(ctx, "x-twin", "10.20.0.11", func(n *corev1.Node) {
			worker, err := s.CoreV1().Nodes().Get(ctx, "worker-1", metav1.GetOptions{})
			Expect(err).NotTo(HaveOccurred())
			n.Spec.ProviderID = worker.Spec.ProviderID
		})
		s.expose(ctx, "web")
		Eventually(s.published(ctx, "web")).ShouldNot(BeEmpty())
		Expect(s.nodes(ctx)()).To(ConsistOf("worker-1 10.20.0.11"))

		By("its VM getting the address")
		late := &capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "late"}}
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(late), late)).To(Succeed())
		testenv.UpdateStatus(ctx, env, late, func(vm *capstanv1.VirtualMachine) { vm.Status.Addresses = []string{"10.20.0.30"} })
		Eventually(s.nodes(ctx)).Should(ConsistOf("late 10.20.0.30", "worker-1 10.20.0.11"))

		By("a node of the control plane being let in")
		s.label(ctx, "steers", "false")
		Eventually(s.nodes(ctx)).Should(ConsistOf("late 10.20.0.30", "steers 10.20.0.24", "worker-1 10.20.0.11"))
		s.label(ctx, "steers", "true")
		Expect(env.Client.Delete(ctx, late)).To(Succeed())
		Eventually(s.nodes(ctx)).Should(ConsistOf("worker-1 10.20.0.11"))
	})

	It("are deleted when they are not ready and their VM is gone, and no others", func(ctx SpecContext) {
		s := newSite(ctx)
		const id = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
		s.newVM(ctx, "alive", id, "10.20.0.21")
		of := func(providerID string) func(*corev1.Node) {
			return func(n *corev1.Node) {
				n.Spec.ProviderID = providerID
				n.Status.Conditions[0].Status = corev1.ConditionUnknown
			}
		}
		s.newNode(ctx, "alive", "10.20.0.21", of(capstanv1.ProviderIDScheme+id))
		s.newNode(ctx, "theirs", "10.20.0.22", of("vsphere://1b4e28ba"))
		s.newNode(ctx, "nobodys", "10.20.0.23", of(""))
		s.newNode(ctx, "gone", "10.20.0.24", of(capstanv1.ProviderIDScheme+"00000000-0000-0000-0000-000000000000"))
		Eventually(func() []string {
			list, err := s.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
			Expect(err).NotTo(HaveOccurred())
			var names []string
			for i := range list.Items {
				names = append(names, list.Items[i].Name)
			}
			return names
		}).Should(ConsistOf("worker-1", "alive", "theirs", "nobodys"))
	})
})

var _ = Describe("Looking after Services", func() {
	It("ends when the cluster cannot be reached, and goes on where it was", func(ctx SpecContext) {
		s := newSite(ctx)
		s.expose(ctx, "stays")
		s.expose(ctx, "goes")
		for _, name := range []string{"stays", "goes"} {
			Eventually(s.published(ctx, name)).ShouldNot(BeEmpty())
		}
		vip := s.published(ctx, "stays")()
		remote.set(s.cluster, nil)
		Eventually(running).Should(BeZero())
		Expect(s.told(ctx)).To(HaveLen(2), "what is carried goes on being carried")
		s.expose(ctx, "new")
		s.change(ctx, "goes", func(s *corev1.Service) { s.Spec.Type, s.Finalizers = corev1.ServiceTypeClusterIP, nil })
		Consistently(s.published(ctx, "new"), "300ms").Should(BeEmpty())

		remote.set(s.cluster, s.config)
		Eventually(s.published(ctx, "new")).ShouldNot(BeEmpty())
		Eventually(func() map[string]capstanv1.LoadBalancerService { return s.told(ctx) }).Should(And(HaveLen(2), HaveKey("default/stays"), HaveKey("default/new")))
		Expect(s.told(ctx)["default/stays"].VIP).To(Equal(vip))
		Eventually(s.reserved(ctx)).Should(HaveLen(2))

		By("one being torn out")
		Expect(s.CoreV1().Services("default").Delete(ctx, "new", metav1.DeleteOptions{})).To(Succeed())
		s.change(ctx, "stays", func(s *corev1.Service) { s.Finalizers = nil })
		Expect(s.CoreV1().Services("default").Delete(ctx, "stays", metav1.DeleteOptions{})).To(Succeed())
		Eventually(func() map[string]capstanv1.LoadBalancerService { return s.told(ctx) }).Should(BeEmpty())
		Eventually(s.reserved(ctx)).Should(BeEmpty())
	})

	It("ends when the cluster is paused", func(ctx SpecContext) {
		s := newSite(ctx)
		s.expose(ctx, "web")
		Eventually(s.published(ctx, "web")).ShouldNot(BeEmpty())
		cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "shop"}}
		testenv.Update(ctx, env, cluster, func(c *clusterv1.Cluster) { c.Spec.Paused = ptr.To(true) })
		Eventually(running).Should(BeZero())
		s.expose(ctx, "later")
		Consistently(s.published(ctx, "later"), "300ms").Should(BeEmpty())
		testenv.Update(ctx, env, cluster, func(c *clusterv1.Cluster) { c.Spec.Paused = nil })
		Eventually(s.published(ctx, "later")).ShouldNot(BeEmpty())
	})

	It("ends when the cluster is deleted, whose addresses come free without it", func(ctx SpecContext) {
		s := newSite(ctx)
		s.expose(ctx, "web")
		Eventually(s.published(ctx, "web")).ShouldNot(BeEmpty())
		cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "shop"}}
		testenv.Update(ctx, env, cluster, func(c *clusterv1.Cluster) { c.Finalizers = []string{"example.org/held"} })
		Expect(env.Client.Delete(ctx, cluster)).To(Succeed())
		Eventually(running).Should(BeZero())
		Expect(s.told(ctx)).To(HaveLen(1))
		testenv.Update(ctx, env, cluster, func(c *clusterv1.Cluster) { c.Finalizers = nil })
	})

	It("leaves nothing running of a cluster that has never answered", func(ctx SpecContext) {
		s := newSite(ctx)
		remote.set(s.cluster, nil)
		Eventually(running).Should(BeZero())
		silent, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(silent.Close)
		before := queues()
		for range 3 {
			remote.set(s.cluster, &rest.Config{Host: "http://" + silent.Addr().String()})
			Eventually(running).ShouldNot(BeZero())
			remote.set(s.cluster, nil)
			Eventually(running).Should(BeZero())
		}
		Eventually(queues).Should(BeNumerically("<=", before))
	})

	It("leaves nothing running", func(ctx SpecContext) {
		s := newSite(ctx)
		s.expose(ctx, "web")
		Eventually(s.published(ctx, "web")).ShouldNot(BeEmpty())
		remote.set(s.cluster, nil)
		Eventually(running).Should(BeZero())
		for range 5 {
			remote.set(s.cluster, s.config)
			Eventually(running).ShouldNot(BeZero())
			remote.set(s.cluster, nil)
			Eventually(running).Should(BeZero())
		}
	})
})

// queues counts the goroutines of work queues, which upstream's controllers have from
// when they are made.
func queues() int { return goroutines("client-go/util/workqueue") }

// running counts the goroutines that look after the Services of any cluster. Those of
// the specs before end with their connections.
func running() int {
	return goroutines("controllers/service.(*session)", "k8s.io/cloud-provider", "informers.(*sharedInformerFactory)", "client-go/tools/record")
}

// goroutines counts those that bear one of the marks.
func goroutines(marks ...string) int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	count := 0
	for goroutine := range strings.SplitSeq(string(stacks), "\n\n") {
		for _, mark := range marks {
			if strings.Contains(goroutine, mark) {
				count++
				break
			}
		}
	}
	return count
}
