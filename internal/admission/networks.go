package admission

import (
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/util/validation/field"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// The lengths of prefixes that kubeadm and the controller manager start with. Each
// node takes a /24 of the pods' network, of which there may be 2^16; the services'
// network holds the tenth address, of the cluster's DNS, and at most 20 bits.
const (
	shortestPodPrefix, longestPodPrefix         = 8, 24
	shortestServicePrefix, longestServicePrefix = 12, 28
)

// validateNetworkSizes refuses networks with which no control plane would start.
// Prefixes that do not parse are the schema's to refuse.
func validateNetworkSizes(path *field.Path, network *capstanv1.ClusterNetwork) field.ErrorList {
	var errs field.ErrorList
	check := func(path *field.Path, cidrs []string, shortest, longest int) {
		for i, cidr := range cidrs {
			if p, err := netip.ParsePrefix(cidr); err == nil && (p.Bits() < shortest || p.Bits() > longest) {
				errs = append(errs, field.Invalid(path.Index(i), cidr, fmt.Sprintf("no control plane starts with a network of this size: use one from /%d to /%d", shortest, longest)))
			}
		}
	}
	check(path.Child("podCIDRs"), network.PodCIDRs, shortestPodPrefix, longestPodPrefix)
	check(path.Child("serviceCIDRs"), network.ServiceCIDRs, shortestServicePrefix, longestServicePrefix)
	return errs
}

type namedPrefix struct {
	path   *field.Path
	value  string
	what   string
	prefix netip.Prefix
}

// validateDisjoint refuses pod, service and node networks that share addresses.
// Prefixes that do not parse are the schema's to refuse.
func validateDisjoint(path *field.Path, network *capstanv1.ClusterNetwork, nodes *capstanv1.LogicalNetwork) field.ErrorList {
	var all []namedPrefix
	add := func(path *field.Path, value, what string) {
		if p, err := netip.ParsePrefix(value); err == nil {
			all = append(all, namedPrefix{path, value, what, p.Masked()})
		}
	}
	if nodes != nil {
		for i, s := range nodes.Spec.Subnets {
			add(nil, s.CIDR, fmt.Sprintf("subnet %d of LogicalNetwork %s", i, nodes.Name))
		}
	}
	for i, c := range network.PodCIDRs {
		add(path.Child("podCIDRs").Index(i), c, "podCIDRs")
	}
	for i, c := range network.ServiceCIDRs {
		add(path.Child("serviceCIDRs").Index(i), c, "serviceCIDRs")
	}
	var errs field.ErrorList
	for i, a := range all {
		for _, b := range all[:i] {
			if a.path != nil && a.prefix.Overlaps(b.prefix) {
				errs = append(errs, field.Invalid(a.path, a.value, fmt.Sprintf("overlaps %s (%s): choose a network of its own", b.what, b.value)))
			}
		}
	}
	return errs
}
