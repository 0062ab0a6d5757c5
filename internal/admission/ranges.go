package admission

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// ranges are the addresses that a LogicalNetwork may give out.
type ranges struct{ nodes, vips *addresspool.Pool }

func (v *logicalNetworkValidator) validateRanges(ctx context.Context, network *capstanv1.LogicalNetwork) error {
	subnet := field.NewPath("spec", "subnets").Index(0)
	own, errs := rangesOf(subnet, network)
	if len(errs) == 0 {
		var err error
		if errs, err = v.sharedWithOthers(ctx, subnet, network, own); err != nil {
			return err
		}
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(capstanv1.GroupVersion.WithKind("LogicalNetwork").GroupKind(), network.Name, errs)
	}
	return nil
}

func rangesOf(subnet *field.Path, network *capstanv1.LogicalNetwork) (ranges, field.ErrorList) {
	var errs field.ErrorList
	nodes, err := addresspool.New(&network.Spec, addresspool.Nodes)
	if err != nil {
		errs = append(errs, field.Invalid(subnet.Child("nodeRanges"), "", err.Error()))
	}
	vips, err := addresspool.New(&network.Spec, addresspool.VIPs)
	if err != nil {
		errs = append(errs, field.Invalid(subnet.Child("vipRanges"), "", err.Error()))
	}
	if len(errs) > 0 {
		return ranges{}, errs
	}
	if shared, ok := vips.Overlaps(nodes); ok {
		errs = append(errs, field.Invalid(subnet.Child("vipRanges"), shared.String(), "lies in nodeRanges too: an address is for VMs or virtual, not both"))
	}
	if nodes.Count() == 0 {
		errs = append(errs, field.Invalid(subnet.Child("nodeRanges"), "", "holds no usable address: widen it"))
	}
	if vips.Count() == 0 {
		errs = append(errs, field.Invalid(subnet.Child("vipRanges"), "", "holds no usable address: widen it"))
	}
	return ranges{nodes: nodes, vips: vips}, errs
}

// sharedWithOthers refuses addresses that another LogicalNetwork of the same wire
// gives out, too: reservations are made per network, so both would.
func (v *logicalNetworkValidator) sharedWithOthers(ctx context.Context, subnet *field.Path, network *capstanv1.LogicalNetwork, own ranges) (field.ErrorList, error) {
	list := &capstanv1.LogicalNetworkList{}
	if err := v.live.List(ctx, list); err != nil {
		return nil, fmt.Errorf("listing LogicalNetworks: %w", err)
	}
	var errs field.ErrorList
	for i := range list.Items {
		other := &list.Items[i]
		if other.Name == network.Name || other.Spec.Switch != network.Spec.Switch || other.Spec.VLAN != network.Spec.VLAN {
			continue
		}
		theirs, wrong := rangesOf(subnet, other)
		if len(wrong) > 0 {
			continue
		}
		for _, mine := range []struct {
			field string
			pool  *addresspool.Pool
		}{{"nodeRanges", own.nodes}, {"vipRanges", own.vips}} {
			for _, pool := range []*addresspool.Pool{theirs.nodes, theirs.vips} {
				if shared, ok := mine.pool.Overlaps(pool); ok {
					errs = append(errs, field.Invalid(subnet.Child(mine.field), shared.String(), fmt.Sprintf(
						"is given out by LogicalNetwork %s on the same switch and VLAN, too: choose ranges of its own", other.Name)))
				}
			}
		}
	}
	return errs, nil
}
