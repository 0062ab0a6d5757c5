package kubeapi

import (
	"fmt"
	"net/netip"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// admit sets the defaults that clients rely on and refuses what the real server
// would, where it matters to Capstan. It is called with the store's lock.
func (s *Store) admit(r *Resource, old, obj Object) error {
	switch o := obj.(type) {
	case *corev1.Namespace:
		o.Status.Phase = corev1.NamespaceActive
		if o.DeletionTimestamp != nil {
			o.Status.Phase = corev1.NamespaceTerminating
		}
	case *corev1.Secret:
		for k, v := range o.StringData {
			if o.Data == nil {
				o.Data = map[string][]byte{}
			}
			o.Data[k] = []byte(v)
		}
		o.StringData = nil
		if o.Type == "" {
			o.Type = corev1.SecretTypeOpaque
		}
	case *corev1.Pod:
		if o.Status.Phase == "" {
			o.Status.Phase = corev1.PodPending
		}
	case *appsv1.Deployment:
		if o.Spec.Replicas == nil {
			one := int32(1)
			o.Spec.Replicas = &one
		}
	case *corev1.Service:
		var before *corev1.Service
		if old != nil {
			before = old.(*corev1.Service)
		}
		return s.admitService(r, before, o)
	}
	return nil
}

// Node ports, as kube-apiserver has them by default.
const (
	firstNodePort = 30000
	lastNodePort  = 32767
)

// defaultServiceSubnet is kubeadm's.
var defaultServiceSubnet = netip.MustParsePrefix("10.96.0.0/12")

// SetServiceSubnet sets the range that cluster IPs are taken from.
func (s *Store) SetServiceSubnet(p netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serviceSubnet = p
}

// admitService gives a Service its defaults, its cluster IP and its node ports,
// which it keeps.
func (s *Store) admitService(r *Resource, old, svc *corev1.Service) error {
	if svc.Spec.Type == "" {
		svc.Spec.Type = corev1.ServiceTypeClusterIP
	}
	if svc.Spec.SessionAffinity == "" {
		svc.Spec.SessionAffinity = corev1.ServiceAffinityNone
	}
	if len(svc.Spec.Ports) == 0 && svc.Spec.ClusterIP != corev1.ClusterIPNone && svc.Spec.Type != corev1.ServiceTypeExternalName {
		return apierrors.NewInvalid(r.GVK().GroupKind(), svc.Name, field.ErrorList{field.Required(field.NewPath("spec", "ports"), "")})
	}
	usedIPs, usedPorts := s.inUse(svc)
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if p.Protocol == "" {
			p.Protocol = corev1.ProtocolTCP
		}
		if p.TargetPort == (intstr.IntOrString{}) {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
		if svc.Spec.Type != corev1.ServiceTypeNodePort && !allocatesNodePorts(svc) {
			p.NodePort = 0
			continue
		}
		if p.NodePort == 0 {
			p.NodePort = nodePortOf(old, p)
		}
		for port := int32(firstNodePort); p.NodePort == 0 && port <= lastNodePort; port++ {
			if !usedPorts[port] {
				p.NodePort = port
			}
		}
		if usedPorts[p.NodePort] || p.NodePort == 0 {
			return apierrors.NewInvalid(r.GVK().GroupKind(), svc.Name, field.ErrorList{field.Invalid(field.NewPath("spec", "ports").Index(i).Child("nodePort"), p.NodePort, "provided port is already allocated")})
		}
		usedPorts[p.NodePort] = true
	}
	return s.allocateClusterIP(r, old, svc, usedIPs)
}

func allocatesNodePorts(svc *corev1.Service) bool {
	allocate := svc.Spec.AllocateLoadBalancerNodePorts
	return svc.Spec.Type == corev1.ServiceTypeLoadBalancer && (allocate == nil || *allocate)
}

func nodePortOf(old *corev1.Service, port *corev1.ServicePort) int32 {
	if old != nil {
		for _, p := range old.Spec.Ports {
			if p.Port == port.Port && p.Protocol == port.Protocol {
				return p.NodePort
			}
		}
	}
	return 0
}

func (s *Store) inUse(except *corev1.Service) (ips map[string]bool, ports map[int32]bool) {
	ips, ports = map[string]bool{}, map[int32]bool{}
	for _, o := range s.objects[Services] {
		svc := o.(*corev1.Service)
		if svc.Name == except.Name && svc.Namespace == except.Namespace {
			continue
		}
		ips[svc.Spec.ClusterIP] = true
		for _, p := range svc.Spec.Ports {
			if p.NodePort != 0 {
				ports[p.NodePort] = true
			}
		}
	}
	return ips, ports
}

func (s *Store) allocateClusterIP(r *Resource, old, svc *corev1.Service, used map[string]bool) error {
	ipPath := field.NewPath("spec", "clusterIP")
	if svc.Spec.Type == corev1.ServiceTypeExternalName || svc.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	if old != nil && old.Spec.ClusterIP != "" {
		if svc.Spec.ClusterIP != "" && svc.Spec.ClusterIP != old.Spec.ClusterIP {
			return apierrors.NewInvalid(r.GVK().GroupKind(), svc.Name, field.ErrorList{field.Invalid(ipPath, svc.Spec.ClusterIP, "field is immutable")})
		}
		svc.Spec.ClusterIP, svc.Spec.ClusterIPs, svc.Spec.IPFamilies = old.Spec.ClusterIP, old.Spec.ClusterIPs, old.Spec.IPFamilies
		return nil
	}
	subnet := s.serviceSubnet
	if !subnet.IsValid() {
		subnet = defaultServiceSubnet
	}
	if svc.Spec.ClusterIP == "" {
		for a := subnet.Masked().Addr().Next(); subnet.Contains(a); a = a.Next() {
			if !used[a.String()] {
				svc.Spec.ClusterIP = a.String()
				break
			}
		}
	}
	if a, err := netip.ParseAddr(svc.Spec.ClusterIP); err != nil || !subnet.Contains(a) || used[svc.Spec.ClusterIP] {
		return apierrors.NewInvalid(r.GVK().GroupKind(), svc.Name, field.ErrorList{field.Invalid(ipPath, svc.Spec.ClusterIP, fmt.Sprintf("must be a free address of %s", subnet))})
	}
	svc.Spec.ClusterIPs = []string{svc.Spec.ClusterIP}
	if len(svc.Spec.IPFamilies) == 0 {
		svc.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	}
	return nil
}

// validateName refuses names that would not fit into a path.
func validateName(r *Resource, name string) error {
	if name == "" {
		return apierrors.NewInvalid(r.GVK().GroupKind(), name, field.ErrorList{field.Required(field.NewPath("metadata", "name"), "name or generateName is required")})
	}
	if msgs := content.IsPathSegmentName(name); len(msgs) > 0 {
		return apierrors.NewInvalid(r.GVK().GroupKind(), name, field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), name, strings.Join(msgs, "; "))})
	}
	return nil
}

// textAt returns the text, number or truth value at a dotted path.
func textAt(m map[string]any, path string) string {
	var v any = m
	for _, key := range strings.Split(path, ".") {
		next, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = next[key]
	}
	switch v.(type) {
	case nil, map[string]any, []any:
		return ""
	}
	return fmt.Sprint(v)
}
