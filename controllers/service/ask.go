package service

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// kubeProxyHealthPort is where kube-proxy tells, at /healthz, whether its node takes
// connections. A node port that accepts one says little of its node: the connection
// ends at a pod anywhere in the cluster. And each check would be a connection to the
// users' own programs. Upstream's cloud providers ask kube-proxy for the same reasons.
const kubeProxyHealthPort = 10256

// maxSources is how many networks may be allowed to connect to a Service.
const maxSources = 256

// ask is what a Service asks of the load balancer.
type ask struct {
	// entry lacks the virtual address.
	entry capstanv1.LoadBalancerService
	// vipKey is what the virtual address is for: this Service, or those that share it.
	vipKey string
	// uid tells it from earlier ones of its name.
	uid    types.UID
	shared bool
	// address is the one it wants to have, or "".
	address string
}

// refusedError says what a Service must change to be carried.
type refusedError struct{ why string }

// Error implements error.
func (e *refusedError) Error() string { return e.why }

func refuse(format string, args ...any) error {
	return &refusedError{why: fmt.Sprintf(format, args...)}
}

// askOf returns what a Service asks for, or why nothing can be done for it. What it
// returns fits the schema of LoadBalancers, whatever the Service says.
func askOf(service *corev1.Service) (ask, error) {
	if len(validation.IsDNS1123Label(service.Namespace)) > 0 || len(validation.IsDNS1123Label(service.Name)) > 0 {
		return ask{}, refuse("namespace and name must be DNS labels")
	}
	if families := service.Spec.IPFamilies; len(families) > 0 && !slices.Contains(families, corev1.IPv4Protocol) {
		return ask{}, refuse("the load balancer has IPv4 addresses only: add IPv4 to spec.ipFamilies")
	}
	a := ask{entry: capstanv1.LoadBalancerService{Name: service.Namespace + "/" + service.Name}, uid: service.UID}
	a.vipKey = "service/" + a.entry.Name
	if key := service.Annotations[capstanv1.SharedVIPAnnotation]; key != "" {
		a.vipKey, a.shared = "shared/"+service.Namespace+"/"+key, true
	}
	for _, part := range []func(*corev1.Service, *ask) error{askForAddress, askForPorts, askForSources, askForCheck} {
		if err := part(service, &a); err != nil {
			return ask{}, err
		}
	}
	return a, nil
}

func askForAddress(service *corev1.Service, a *ask) error {
	inSpec, annotated := service.Spec.LoadBalancerIP, strings.TrimSpace(service.Annotations[capstanv1.LoadBalancerIPAnnotation])
	field, wanted := "spec.loadBalancerIP", inSpec
	switch {
	case inSpec != "" && annotated != "" && inSpec != annotated:
		return refuse("spec.loadBalancerIP and annotation %s ask for different addresses: keep one of them", capstanv1.LoadBalancerIPAnnotation)
	case annotated != "":
		field, wanted = "annotation "+capstanv1.LoadBalancerIPAnnotation, annotated
	case inSpec == "":
		return nil
	}
	address, err := netip.ParseAddr(wanted)
	if err != nil || !address.Is4() {
		return refuse("%s: %.64q is not an IPv4 address, such as 10.0.0.120", field, wanted)
	}
	a.address = address.String()
	return nil
}

func askForPorts(service *corev1.Service, a *ask) error {
	if len(service.Spec.Ports) == 0 {
		return refuse("spec.ports is empty")
	}
	if len(service.Spec.Ports) > 128 {
		return refuse("spec.ports has %d entries, at most 128 are carried", len(service.Spec.Ports))
	}
	var notCarried []string
	seen := map[int32]bool{}
	for _, port := range service.Spec.Ports {
		if port.Protocol != corev1.ProtocolTCP && port.Protocol != "" {
			notCarried = append(notCarried, fmt.Sprintf("%d (%.8q)", port.Port, port.Protocol))
			continue
		}
		switch {
		case !isPort(port.Port):
			return refuse("port %d is not within 1 to 65535", port.Port)
		case seen[port.Port]:
			return refuse("port %d is there twice", port.Port)
		case service.Spec.AllocateLoadBalancerNodePorts != nil && !*service.Spec.AllocateLoadBalancerNodePorts && port.NodePort == 0:
			return refuse("port %d has no node port, which the load balancer connects to: set spec.allocateLoadBalancerNodePorts to true", port.Port)
		case !isPort(port.NodePort):
			return refuse("port %d has no node port, which the load balancer connects to", port.Port)
		}
		seen[port.Port] = true
		name := port.Name
		if len(validation.IsDNS1123Label(name)) > 0 {
			name = ""
		}
		a.entry.Ports = append(a.entry.Ports, capstanv1.LoadBalancerServicePort{Name: name, Port: port.Port, NodePort: port.NodePort})
	}
	if len(notCarried) > 0 {
		return refuse("the load balancer carries TCP only, and not ports %s: take them out, or give them a Service that another load balancer looks after (spec.loadBalancerClass)",
			strings.Join(notCarried, ", "))
	}
	return nil
}

func isPort(n int32) bool { return n >= 1 && n <= 65535 }

// askForSources reads the networks that may connect, from the spec or, as everywhere
// else, from the annotation if the spec names none.
func askForSources(service *corev1.Service, a *ask) error {
	field, ranges := "spec.loadBalancerSourceRanges", service.Spec.LoadBalancerSourceRanges
	if annotated := strings.TrimSpace(service.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]); len(ranges) == 0 && annotated != "" {
		field, ranges = "annotation "+corev1.AnnotationLoadBalancerSourceRangesKey, strings.Split(annotated, ",")
	}
	if len(ranges) > maxSources {
		return refuse("%s has %d networks, at most %d are carried", field, len(ranges), maxSources)
	}
	var sources []string
	for _, text := range ranges {
		network, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil || network.Addr().Is4In6() {
			return refuse("%s: %.64q is not a network, such as 10.0.0.0/24", field, text)
		}
		if network.Bits() == 0 && network.Addr().Is4() {
			return nil
		}
		sources = append(sources, network.Masked().String())
	}
	slices.Sort(sources)
	a.entry.AllowedSources = slices.Compact(sources)
	return nil
}

func askForCheck(service *corev1.Service, a *ask) error {
	if service.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		if !isPort(service.Spec.HealthCheckNodePort) {
			return refuse("externalTrafficPolicy is Local, and spec.healthCheckNodePort is not set: the load balancer could not tell which nodes have a pod")
		}
		a.entry.HealthCheckPort = service.Spec.HealthCheckNodePort
		return nil
	}
	switch kind := service.Annotations[capstanv1.HealthCheckAnnotation]; kind {
	case "", capstanv1.HealthCheckKubeProxy:
		a.entry.HealthCheckPort = kubeProxyHealthPort
	case capstanv1.HealthCheckNodePort:
	default:
		return refuse("annotation %s: %.64q is neither %s nor %s", capstanv1.HealthCheckAnnotation, kind, capstanv1.HealthCheckKubeProxy, capstanv1.HealthCheckNodePort)
	}
	return nil
}
