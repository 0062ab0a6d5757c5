package virtualmachine

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/placement"
)

// obey has the request meet what was asked of the VM's place.
func obey(req *placement.Request, rules *capstanv1.PlacementRules) {
	if rules == nil {
		rules = &capstanv1.PlacementRules{}
	}
	req.HostLabels = requirements(rules.HostSelector)
	req.Volumes, req.ExcludedVolumes = rules.Volumes, rules.ExcludedVolumes
	req.Apart = rules.Apart == capstanv1.ApartRequired
	req.SpreadWeight = float64(ptr.Deref(rules.SpreadWeight, capstanv1.DefaultSpreadWeight)) / 100
}

func requirements(selector *metav1.LabelSelector) []placement.Requirement {
	if selector == nil {
		return nil
	}
	var all []placement.Requirement
	for _, key := range slices.Sorted(maps.Keys(selector.MatchLabels)) {
		all = append(all, placement.Requirement{Key: key, Operator: placement.In, Values: []string{selector.MatchLabels[key]}})
	}
	for _, e := range selector.MatchExpressions {
		all = append(all, placement.Requirement{Key: e.Key, Operator: placement.Operator(e.Operator), Values: e.Values})
	}
	return all
}
