package admission

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// newProblems returns those of now that were not there before. The world moves
// on, hosts go and versions fall out of support: what was accepted once must not
// stand in the way of a change of something else.
func newProblems(before, now field.ErrorList) field.ErrorList {
	return slices.DeleteFunc(slices.Clone(now), func(e *field.Error) bool {
		return slices.ContainsFunc(before, func(b *field.Error) bool { return b.Error() == e.Error() })
	})
}
