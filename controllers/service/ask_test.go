package service

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func newService(with ...func(*corev1.Service)) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Ports:                 []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 30080}},
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyCluster,
		},
	}
	for _, f := range with {
		f(service)
	}
	return service
}

func annotated(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) { metav1.SetMetaDataAnnotation(&s.ObjectMeta, key, value) }
}

func TestWhatAServiceAsksFor(t *testing.T) {
	plain := capstanv1.LoadBalancerService{
		Name: "default/web", Ports: []capstanv1.LoadBalancerServicePort{{Name: "http", Port: 80, NodePort: 30080}}, HealthCheckPort: kubeProxyHealthPort,
	}
	with := func(change func(*ask)) ask {
		a := ask{entry: *plain.DeepCopy(), vipKey: "service/default/web"}
		change(&a)
		return a
	}
	for name, tt := range map[string]struct {
		service *corev1.Service
		want    ask
	}{
		"nothing special": {newService(), with(func(*ask) {})},
		"an address":      {newService(func(s *corev1.Service) { s.Spec.LoadBalancerIP = "10.0.0.9" }), with(func(a *ask) { a.address = "10.0.0.9" })},
		"an address by annotation": {
			newService(annotated(capstanv1.LoadBalancerIPAnnotation, " 10.0.0.9 ")),
			with(func(a *ask) { a.address = "10.0.0.9" }),
		},
		"a shared address": {
			newService(annotated(capstanv1.SharedVIPAnnotation, "edge\n\"quoted\"")),
			with(func(a *ask) { a.vipKey, a.shared = "shared/default/edge\n\"quoted\"", true }),
		},
		"sources": {
			newService(func(s *corev1.Service) {
				s.Spec.LoadBalancerSourceRanges = []string{"192.0.2.7/24", " 10.0.0.0/8", "192.0.2.0/24"}
			}, annotated(corev1.AnnotationLoadBalancerSourceRangesKey, "198.51.100.0/24")),
			with(func(a *ask) { a.entry.AllowedSources = []string{"10.0.0.0/8", "192.0.2.0/24"} }),
		},
		"sources by annotation": {
			newService(annotated(corev1.AnnotationLoadBalancerSourceRangesKey, "198.51.100.0/24, 2001:db8::/32")),
			with(func(a *ask) { a.entry.AllowedSources = []string{"198.51.100.0/24", "2001:db8::/32"} }),
		},
		"everyone": {
			newService(func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = []string{"10.0.0.0/8", "0.0.0.0/0"} }),
			with(func(*ask) {}),
		},
		"local traffic only": {
			newService(func(s *corev1.Service) {
				s.Spec.ExternalTrafficPolicy, s.Spec.HealthCheckNodePort = corev1.ServiceExternalTrafficPolicyLocal, 31234
			}),
			with(func(a *ask) { a.entry.HealthCheckPort = 31234 }),
		},
		"a check of the node port": {
			newService(annotated(capstanv1.HealthCheckAnnotation, "node-port")),
			with(func(a *ask) { a.entry.HealthCheckPort = 0 }),
		},
		"a port with a name that no API server lets pass": {
			newService(func(s *corev1.Service) { s.Spec.Ports[0].Name = "x\nbind *:1" }),
			with(func(a *ask) { a.entry.Ports[0].Name = "" }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got, err := askOf(tt.service)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got).To(Equal(tt.want))
		})
	}
}

func TestWhatIsRefusedAndWhy(t *testing.T) {
	port := func(change func(*corev1.ServicePort)) func(*corev1.Service) {
		return func(s *corev1.Service) { change(&s.Spec.Ports[0]) }
	}
	for name, tt := range map[string]struct {
		with func(*corev1.Service)
		want string
	}{
		"UDP":  {port(func(p *corev1.ServicePort) { p.Protocol = corev1.ProtocolUDP }), `carries TCP only, and not ports 80 ("UDP")`},
		"SCTP": {port(func(p *corev1.ServicePort) { p.Protocol = corev1.ProtocolSCTP }), "spec.loadBalancerClass"},
		"TCP and UDP": {func(s *corev1.Service) {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Protocol: corev1.ProtocolUDP, Port: 53, NodePort: 30053})
		}, `not ports 53 ("UDP")`},
		"hostile protocol": {port(func(p *corev1.ServicePort) { p.Protocol = "TCP\nx" }), "carries TCP only"},
		"no ports":         {func(s *corev1.Service) { s.Spec.Ports = nil }, "spec.ports is empty"},
		"no node port":     {port(func(p *corev1.ServicePort) { p.NodePort = 0 }), "has no node port"},
		"node ports not wanted": {func(s *corev1.Service) {
			s.Spec.Ports[0].NodePort, s.Spec.AllocateLoadBalancerNodePorts = 0, ptr.To(false)
		}, "set spec.allocateLoadBalancerNodePorts to true"},
		"port out of range":    {port(func(p *corev1.ServicePort) { p.Port = 70000 }), "not within 1 to 65535"},
		"IPv6 only":            {func(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} }, "add IPv4 to spec.ipFamilies"},
		"address that is none": {func(s *corev1.Service) { s.Spec.LoadBalancerIP = "10.0.0.9\n" }, "spec.loadBalancerIP"},
		"address of IPv6":      {annotated(capstanv1.LoadBalancerIPAnnotation, "2001:db8::1"), "is not an IPv4 address"},
		"two addresses": {func(s *corev1.Service) {
			s.Spec.LoadBalancerIP = "10.0.0.9"
			annotated(capstanv1.LoadBalancerIPAnnotation, "10.0.0.8")(s)
		}, "ask for different addresses"},
		"sources that are none":  {func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = []string{"0.0.0.0/0 }\nacl"} }, "spec.loadBalancerSourceRanges"},
		"annotated source":       {annotated(corev1.AnnotationLoadBalancerSourceRangesKey, "here"), "annotation service.beta.kubernetes.io/load-balancer-source-ranges"},
		"too many sources":       {annotated(corev1.AnnotationLoadBalancerSourceRangesKey, strings.Repeat("10.0.0.0/8,", 300)), "at most 256"},
		"local, and no check":    {func(s *corev1.Service) { s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal }, "healthCheckNodePort"},
		"unknown check":          {annotated(capstanv1.HealthCheckAnnotation, strings.Repeat("\n", 1000)), "neither kube-proxy nor node-port"},
		"name that can be none":  {func(s *corev1.Service) { s.Name = "web\nbackend x" }, "must be DNS labels"},
		"namespace with a slash": {func(s *corev1.Service) { s.Namespace = "a/b" }, "must be DNS labels"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := askOf(newService(tt.with))
			g.Expect(err).To(MatchError(And(ContainSubstring(tt.want), Not(ContainSubstring("\n")))))
			g.Expect(len(err.Error())).To(BeNumerically("<", 512), "it has to fit an event")
		})
	}
}
