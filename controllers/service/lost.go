package service

import (
	"context"
	"slices"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// lost are the Services that are carried, or were, and whose claims are gone.
func (v *vips) lost(ctx context.Context) ([]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	there, err := v.there(ctx)
	if err != nil {
		return nil, err
	}
	var lost []string
	for service, c := range v.wanted {
		if !there[c.name] && v.book.has(service) {
			lost = append(lost, service)
		}
	}
	slices.Sort(lost)
	return lost, nil
}

// isLost tells whether a Service is one of those that are lost.
func (v *vips) isLost(ctx context.Context, service string) (bool, error) {
	lost, err := v.lost(ctx)
	return slices.Contains(lost, service), err
}

// there are the names of the claims that are not being deleted.
func (v *vips) there(ctx context.Context) (map[string]bool, error) {
	list, err := v.list(ctx, &client.ListOptions{UnsafeDisableDeepCopy: ptr.To(true)})
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for i := range list {
		there[list[i].Name] = list[i].DeletionTimestamp.IsZero()
	}
	return there, nil
}
