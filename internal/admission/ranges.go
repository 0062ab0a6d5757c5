package admission

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// ranges are the addresses that a LogicalNetwork may give out.
type ranges struct{ nodes, vips *addresspool.Pool }

// usedPool is a pool and what it is for.
type usedPool struct {
	*addresspool.Pool
	use addresspool.Use
}

func (r ranges) each() []usedPool {
	return []usedPool{{r.nodes, addresspool.Nodes}, {r.vips, addresspool.VIPs}}
}

var subnetPath = field.NewPath("spec", "subnets").Index(0)

// validate refuses ranges that make no sense and, where there was the network before,
// those that take an address from somebody.
func (v *logicalNetworkValidator) validate(ctx context.Context, old, network *capstanv1.LogicalNetwork) (admission.Warnings, error) {
	errs, warnings, err := v.problemsOf(ctx, network)
	if err != nil {
		return nil, err
	}
	if old != nil {
		before, _, err := v.problemsOf(ctx, old)
		if err != nil {
			return nil, err
		}
		errs = newProblems(before, errs)
		taken, told, err := v.inUse(ctx, old, network)
		if err != nil {
			return nil, err
		}
		errs, warnings = append(errs, taken...), append(warnings, told...)
		moved, err := v.poolInUse(ctx, old, network)
		if err != nil {
			return nil, err
		}
		errs = append(errs, moved...)
	}
	if len(errs) > 0 {
		return nil, invalid("LogicalNetwork", network.Name, errs)
	}
	return warnings, nil
}

func (v *logicalNetworkValidator) problemsOf(ctx context.Context, network *capstanv1.LogicalNetwork) (field.ErrorList, admission.Warnings, error) {
	own, errs := rangesOf(network)
	if len(errs) > 0 {
		return errs, nil, nil
	}
	errs = append(errs, gatewayWithin(own)...)
	shared, warnings, err := v.sharedWithOthers(ctx, network, own)
	return append(errs, shared...), warnings, err
}

func rangesOf(network *capstanv1.LogicalNetwork) (ranges, field.ErrorList) {
	var errs field.ErrorList
	nodes, err := addresspool.New(&network.Spec, addresspool.Nodes)
	if err != nil {
		errs = append(errs, field.Invalid(subnetPath.Child("nodeRanges"), "", err.Error()))
	}
	vips, err := addresspool.New(&network.Spec, addresspool.VIPs)
	if err != nil {
		errs = append(errs, field.Invalid(subnetPath.Child("vipRanges"), "", err.Error()))
	}
	if len(errs) > 0 {
		return ranges{}, errs
	}
	if shared, ok := vips.Overlaps(nodes); ok {
		errs = append(errs, field.Invalid(subnetPath.Child("vipRanges"), shared.String(), "lies in nodeRanges too: an address is for VMs or virtual, not both"))
	}
	if addresspool.From(&network.Spec, addresspool.Nodes) == nil && nodes.Count() == 0 {
		errs = append(errs, field.Invalid(subnetPath.Child("nodeRanges"), "", "holds no usable address: widen it"))
	}
	if addresspool.From(&network.Spec, addresspool.VIPs) == nil && vips.Count() == 0 {
		errs = append(errs, field.Invalid(subnetPath.Child("vipRanges"), "", "holds no usable address: widen it"))
	}
	return ranges{nodes: nodes, vips: vips}, errs
}

// gatewayWithin refuses the router's address in a range. It would not be given out, but
// whoever wrote that most likely meant another gateway or another range.
func gatewayWithin(own ranges) field.ErrorList {
	var errs field.ErrorList
	for _, pool := range own.each() {
		gateway := pool.Gateway()
		if index, ok := pool.RangeWith(gateway); ok {
			errs = append(errs, field.Invalid(subnetPath.Child("gateway"), gateway.String(),
				fmt.Sprintf("lies in %s[%d]: the router's address is no guest's, so let the range begin after it or end before it", pool.use.Field(), index)))
		}
	}
	return errs
}

// sharedWithOthers refuses addresses that another LogicalNetwork of the same wire
// gives out, too: reservations are made per network, so both would. Of switches with
// different names nobody but the admin knows whether one wire joins them.
func (v *logicalNetworkValidator) sharedWithOthers(ctx context.Context, network *capstanv1.LogicalNetwork, own ranges) (field.ErrorList, admission.Warnings, error) {
	list := &capstanv1.LogicalNetworkList{}
	if err := v.live.List(ctx, list); err != nil {
		return nil, nil, fmt.Errorf("listing LogicalNetworks: %w", err)
	}
	var errs field.ErrorList
	var warnings admission.Warnings
	for i := range list.Items {
		other := &list.Items[i]
		if other.Name == network.Name || other.Spec.VLAN != network.Spec.VLAN {
			continue
		}
		theirs, wrong := rangesOf(other)
		if len(wrong) > 0 {
			continue
		}
		shared := sharedWith(other.Name, theirs, own)
		switch {
		case other.Spec.Switch == network.Spec.Switch:
			errs = append(errs, shared...)
		case len(shared) > 0 && network.Spec.VLAN != 0:
			warnings = append(warnings, fmt.Sprintf("LogicalNetwork %s gives out addresses of this one on switch %s and the same VLAN %d: choose ranges of its own if one wire joins the two switches",
				other.Name, other.Spec.Switch, other.Spec.VLAN))
		}
	}
	return errs, warnings, nil
}

// sharedWith returns what is wrong with the own ranges if others are on the same wire.
func sharedWith(name string, theirs, own ranges) field.ErrorList {
	var errs field.ErrorList
	for _, mine := range own.each() {
		for _, pool := range theirs.each() {
			if shared, ok := mine.Overlaps(pool.Pool); ok {
				errs = append(errs, field.Invalid(subnetPath.Child(mine.use.Field()), shared.String(), fmt.Sprintf(
					"is given out by LogicalNetwork %s on the same switch and VLAN, too: choose ranges of its own", name)))
			}
			if mine.use == addresspool.Nodes && pool.Contains(own.nodes.Gateway()) {
				errs = append(errs, field.Invalid(subnetPath.Child("gateway"), own.nodes.Gateway().String(), fmt.Sprintf(
					"is given out by LogicalNetwork %s on the same switch and VLAN: take it out of its ranges, or name another router", name)))
			}
		}
		if gateway := theirs.nodes.Gateway(); mine.Contains(gateway) {
			errs = append(errs, field.Invalid(subnetPath.Child(mine.use.Field()), gateway.String(), fmt.Sprintf(
				"is the router of LogicalNetwork %s on the same switch and VLAN: take it out of the range", name)))
		}
	}
	return errs
}
