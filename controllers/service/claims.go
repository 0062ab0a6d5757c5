package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// claimed is a claim as it is chosen, which the API server may not have yet.
type claimed struct {
	name, label, request string
	// address is what it was given, "" while that is not known.
	address string
}

// known are the claims that are not being deleted, those included that the cache does
// not show yet, and those that are leaving.
func (v *vips) known(ctx context.Context) (known, leaving []claimed, err error) {
	list, err := v.list(ctx)
	if err != nil {
		return nil, nil, err
	}
	seen := map[string]bool{}
	for i := range list {
		claim := &list[i]
		seen[claim.Name] = true
		c := claimed{name: claim.Name, label: claim.Labels[capstanv1.ServiceVIPLabel], request: claim.Annotations[capstanv1.RequestedAddressAnnotation]}
		if c.address, err = v.givenTo(ctx, claim); err != nil {
			return nil, nil, err
		}
		if claim.DeletionTimestamp.IsZero() {
			known = append(known, c)
		} else {
			leaving = append(leaving, c)
		}
	}
	for _, c := range v.wanted {
		if !seen[c.name] {
			seen[c.name] = true
			known = append(known, c)
		}
	}
	return known, leaving, nil
}

func (v *vips) list(ctx context.Context, options ...client.ListOption) ([]ipamv1.IPAddressClaim, error) {
	claims := &ipamv1.IPAddressClaimList{}
	if err := v.client.List(ctx, claims, append(options, client.InNamespace(v.lb.Namespace),
		client.MatchingLabels{capstanv1.LoadBalancerLabel: v.lb.Name}, client.HasLabels{capstanv1.ServiceVIPLabel})...); err != nil {
		return nil, fmt.Errorf("listing the IPAddressClaims of LoadBalancer %s: %w", v.lb.Name, err)
	}
	var owned []ipamv1.IPAddressClaim
	for i := range claims.Items {
		if metav1.IsControlledBy(&claims.Items[i], v.lb) {
			owned = append(owned, claims.Items[i])
		}
	}
	return owned, nil
}

// addressOf returns the address of a claim, "" as long as it has none, or why it will
// not get one.
func (v *vips) addressOf(ctx context.Context, claim *ipamv1.IPAddressClaim) (string, error) {
	if !claim.DeletionTimestamp.IsZero() {
		return "", nil
	}
	if ready := conditions.Get(claim, ipamv1.IPAddressClaimReadyCondition); ready != nil && ready.Status == metav1.ConditionFalse {
		return "", &noAddressError{ready.Reason, ready.Message}
	}
	return v.givenTo(ctx, claim)
}

// givenTo returns the address that a claim was given, or "".
func (v *vips) givenTo(ctx context.Context, claim *ipamv1.IPAddressClaim) (string, error) {
	address, err := ipam.AddressOf(ctx, v.client, v.live, claim)
	if err != nil {
		return "", err
	}
	return address.Spec.Address, nil
}

// release deletes the claims that no Service uses or waits for. Their addresses come
// free once no load-balancer VM can hold them: the LoadBalancer sees to that.
func (v *vips) release(ctx context.Context) error {
	if !v.knowsAll() {
		return nil
	}
	list, err := v.list(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		claim := &list[i]
		if !claim.DeletionTimestamp.IsZero() {
			continue
		}
		address, err := v.givenTo(ctx, claim)
		if err != nil {
			return err
		}
		if v.isWanted(claim.Name, address) {
			continue
		}
		uid := claim.UID
		if err := v.client.Delete(ctx, claim, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting IPAddressClaim %s: %w", claim.Name, err)
		}
	}
	return nil
}

func (v *vips) isWanted(name, address string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.wanted {
		if c.name == name {
			return true
		}
	}
	return address != "" && len(v.book.users(address, "")) > 0
}

// claimOf is a claim as it is made, but for the pool that it names.
func (v *vips) claimOf(c claimed) *ipamv1.IPAddressClaim {
	claim := &ipamv1.IPAddressClaim{
		TypeMeta: metav1.TypeMeta{APIVersion: ipamv1.GroupVersion.String(), Kind: "IPAddressClaim"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v.lb.Namespace, Name: c.name,
			Labels: map[string]string{
				clusterv1.ClusterNameLabel: v.lb.Spec.ClusterName, capstanv1.LoadBalancerLabel: v.lb.Name, capstanv1.ServiceVIPLabel: c.label,
			},
			Annotations: map[string]string{capstanv1.AddressRangeAnnotation: capstanv1.AddressRangeVIPs},
			// The address must not become free while a VM may hold it.
			Finalizers:      []string{capstanv1.LoadBalancerFinalizer, capstanv1.IPAddressClaimFinalizer},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(v.lb, capstanv1.GroupVersion.WithKind("LoadBalancer"))},
		},
		Spec: ipamv1.IPAddressClaimSpec{
			ClusterName: v.lb.Spec.ClusterName,
		},
	}
	if c.request != "" {
		claim.Annotations[capstanv1.RequestedAddressAnnotation] = c.request
	}
	return claim
}

// hash makes a label or part of a name of text that anybody may have written.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:10])
}
