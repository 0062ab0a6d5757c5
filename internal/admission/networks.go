package admission

import (
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/util/validation/field"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

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
