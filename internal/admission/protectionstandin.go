package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// standInGuard keeps what stands for protected WorkloadClusters: the Cluster, its
// control plane, its infrastructure and its load balancer. Each of them takes
// machines with it that nothing brings back as they were.
type standInGuard struct{ live client.Reader }

// Handle refuses the deletion of what stands for a protected WorkloadCluster.
func (g *standInGuard) Handle(ctx context.Context, req admission.Request) admission.Response {
	obj := &metav1.PartialObjectMetadata{}
	if err := json.Unmarshal(req.OldObject.Raw, obj); err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("reading %s %s: %w", req.Kind.Kind, req.Name, err))
	}
	if !obj.DeletionTimestamp.IsZero() {
		return admission.Allowed("")
	}
	key := client.ObjectKey{Namespace: req.Namespace, Name: obj.Labels[capstanv1.WorkloadClusterLabel]}
	wlc := &capstanv1.WorkloadCluster{}
	switch err := g.live.Get(ctx, key, wlc); {
	case apierrors.IsNotFound(err):
		return admission.Allowed("")
	case err != nil:
		return admission.Errored(http.StatusInternalServerError, fmt.Errorf("reading WorkloadCluster %s: %w", key, err))
	case !isProtected(wlc):
		return admission.Allowed("")
	}
	needed, err := g.needs(ctx, wlc, req.Kind.Kind, obj)
	switch {
	case err != nil:
		return admission.Errored(http.StatusInternalServerError, err)
	case needed:
		return admission.Denied(fmt.Sprintf("WorkloadCluster %s, which it stands for, is protected from deletion: %s", wlc.Name, howToUnprotect))
	}
	return admission.Allowed("")
}

// needs tells whether an object is the WorkloadCluster's own and has to stay. What
// was deleted before the protection began is taken apart to its end: Cluster API
// deletes all that belongs to a Cluster that goes, and the WorkloadCluster makes it
// again from nothing only once it is gone.
func (g *standInGuard) needs(ctx context.Context, wlc *capstanv1.WorkloadCluster, kind string, obj metav1.Object) (bool, error) {
	switch kind {
	case "Cluster":
		return belongsTo(obj, wlc), nil
	case "LoadBalancer":
		return g.needsLoadBalancer(ctx, wlc, obj)
	}
	if !belongsTo(obj, wlc) {
		return false, nil
	}
	cluster := &clusterv1.Cluster{}
	switch err := g.live.Get(ctx, client.ObjectKeyFromObject(wlc), cluster); {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("reading Cluster %s/%s: %w", wlc.Namespace, wlc.Name, err)
	}
	return cluster.DeletionTimestamp.IsZero() || !belongsTo(cluster, wlc), nil
}

// needsLoadBalancer asks the HyperVCluster, which the load balancer belongs to. One
// that goes takes it away.
func (g *standInGuard) needsLoadBalancer(ctx context.Context, wlc *capstanv1.WorkloadCluster, lb metav1.Object) (bool, error) {
	infra, err := hyperVClusterOf(ctx, g.live, lb)
	if infra == nil || err != nil {
		return false, err
	}
	return belongsTo(infra, wlc) && infra.DeletionTimestamp.IsZero() && infra.Spec.LoadBalancer != nil, nil
}

// hyperVClusterOf returns the HyperVCluster that made a LoadBalancer, or nil.
func hyperVClusterOf(ctx context.Context, live client.Reader, lb metav1.Object) (*infrav1.HyperVCluster, error) {
	maker := metav1.GetControllerOf(lb)
	if maker == nil || maker.Kind != "HyperVCluster" {
		return nil, nil
	}
	infra := &infrav1.HyperVCluster{}
	err := live.Get(ctx, client.ObjectKey{Namespace: lb.GetNamespace(), Name: maker.Name}, infra)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading HyperVCluster %s/%s: %w", lb.GetNamespace(), maker.Name, err)
	case infra.UID != maker.UID:
		return nil, nil
	}
	return infra, nil
}

func belongsTo(obj, owner metav1.Object) bool {
	return slices.ContainsFunc(obj.GetOwnerReferences(), func(ref metav1.OwnerReference) bool { return ref.UID == owner.GetUID() })
}
