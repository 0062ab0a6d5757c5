package admission

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// validatePlacement refuses rules that no host could ever meet, whatever its labels.
// That no host meets them now is no reason: labels may change at any time.
func validatePlacement(path *field.Path, rules *capstanv1.PlacementRules) field.ErrorList {
	if rules == nil || rules.HostSelector == nil {
		return nil
	}
	path = path.Child("hostSelector")
	if errs := metav1validation.ValidateLabelSelector(rules.HostSelector, metav1validation.LabelSelectorValidationOptions{}, path); len(errs) > 0 {
		return errs
	}
	var errs field.ErrorList
	keys := labelDemands(rules.HostSelector)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if problem := keys[key].contradiction(); problem != "" {
			errs = append(errs, field.Invalid(path, key, "contradicts itself, so that no host can ever fit: label "+key+" "+problem))
		}
	}
	return errs
}

// labelDemand is all that a selector asks of one label.
type labelDemand struct {
	there, absent bool
	// oneOf are the lists of which the value must be in every one.
	oneOf  [][]string
	noneOf []string
}

func labelDemands(selector *metav1.LabelSelector) map[string]*labelDemand {
	keys := map[string]*labelDemand{}
	of := func(key string) *labelDemand {
		if keys[key] == nil {
			keys[key] = &labelDemand{}
		}
		return keys[key]
	}
	for key, value := range selector.MatchLabels {
		d := of(key)
		d.oneOf = append(d.oneOf, []string{value})
	}
	for _, e := range selector.MatchExpressions {
		d := of(e.Key)
		switch e.Operator {
		case metav1.LabelSelectorOpIn:
			d.oneOf = append(d.oneOf, e.Values)
		case metav1.LabelSelectorOpNotIn:
			d.noneOf = append(d.noneOf, e.Values...)
		case metav1.LabelSelectorOpExists:
			d.there = true
		case metav1.LabelSelectorOpDoesNotExist:
			d.absent = true
		}
	}
	return keys
}

// contradiction tells in words why no label can be as demanded, or "".
func (d *labelDemand) contradiction() string {
	if d.absent && (d.there || len(d.oneOf) > 0) {
		return "would have to be there and not be there"
	}
	if len(d.oneOf) == 0 {
		return ""
	}
	left := slices.DeleteFunc(slices.Clone(d.oneOf[0]), func(value string) bool {
		return slices.Contains(d.noneOf, value) ||
			slices.ContainsFunc(d.oneOf[1:], func(list []string) bool { return !slices.Contains(list, value) })
	})
	if len(left) > 0 {
		return ""
	}
	asked := make([]string, len(d.oneOf))
	for i, list := range d.oneOf {
		asked[i] = "one of " + strings.Join(list, ", ")
	}
	slices.Sort(asked)
	problem := "would have to be " + strings.Join(asked, " and ")
	if len(d.noneOf) > 0 {
		problem += fmt.Sprintf(" and none of %s", strings.Join(d.noneOf, ", "))
	}
	return problem
}
