package hypervcluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// errNoEndpoint says that nobody will ever give the cluster an endpoint.
var errNoEndpoint = errors.New("spec.loadBalancer and spec.controlPlaneEndpoint are both missing: set one of them")

// errNoImage says that the load-balancer VMs have nothing to boot. Only a
// WorkloadCluster has a version by which an image could be chosen.
var errNoImage = errors.New("spec.loadBalancer.image is missing: name a VMImage with os Linux")

// domainChanged lets only those changes of hosts through that change the failure
// domains.
func domainChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			was, ok := e.ObjectOld.(*capstanv1.HyperVHost)
			if !ok {
				return true
			}
			is, ok := e.ObjectNew.(*capstanv1.HyperVHost)
			return !ok || domainOf(was) != domainOf(is)
		},
	}
}

// domainOf returns the failure domain that new machines may be put in, or "".
func domainOf(host *capstanv1.HyperVHost) string {
	if host.Spec.Lost || host.Spec.Unschedulable || !host.DeletionTimestamp.IsZero() {
		return ""
	}
	return host.Spec.FailureDomain
}

// reconcileFailureDomains collects the failure domains of the hosts as they are
// now: an administrator may relabel hosts at any time.
func (r *Reconciler) reconcileFailureDomains(ctx context.Context, s *scope) error {
	hosts := &capstanv1.HyperVHostList{}
	if err := r.Client.List(ctx, hosts); err != nil {
		return fmt.Errorf("listing HyperVHosts: %w", err)
	}
	names := map[string]bool{}
	for i := range hosts.Items {
		if name := domainOf(&hosts.Items[i]); name != "" {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		s.domains = append(s.domains, clusterv1.FailureDomain{Name: name, ControlPlane: ptr.To(true)})
	}
	return nil
}

func (r *Reconciler) reconcileLoadBalancer(ctx context.Context, s *scope) error {
	if s.infra.Spec.LoadBalancer == nil {
		if s.infra.Spec.ControlPlaneEndpoint.IsZero() {
			return errNoEndpoint
		}
		return nil
	}
	if s.infra.Spec.LoadBalancer.Image == "" {
		return errNoImage
	}
	current := &capstanv1.LoadBalancer{}
	if err := r.applier.Object(ctx, s.infra, loadBalancer(s.infra, s.cluster), current); err != nil {
		return err
	}
	s.loadBalancer = current
	return nil
}

func loadBalancer(infra *infrav1.HyperVCluster, cluster *clusterv1.Cluster) *capstanv1.LoadBalancer {
	wanted := infra.Spec.LoadBalancer
	labels := map[string]string{clusterv1.ClusterNameLabel: cluster.Name}
	if name := infra.Labels[capstanv1.WorkloadClusterLabel]; name != "" {
		labels[capstanv1.WorkloadClusterLabel] = name
	}
	return &capstanv1.LoadBalancer{
		TypeMeta: metav1.TypeMeta{APIVersion: capstanv1.GroupVersion.String(), Kind: "LoadBalancer"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: infra.Namespace, Name: infra.Name, Labels: labels,
			// It needs its finalizer before it does anything: one write less.
			Finalizers:      []string{capstanv1.LoadBalancerFinalizer},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(infra, infrav1.GroupVersion.WithKind("HyperVCluster"))},
		},
		Spec: capstanv1.LoadBalancerSpec{
			ClusterName:    cluster.Name,
			LogicalNetwork: infra.Spec.LogicalNetwork,
			Replicas:       ptr.To(ptr.Deref(wanted.Replicas, 2)),
			Size:           wanted.Size,
			Image:          wanted.Image,
			APIServerPort:  wanted.Port,
			Placement:      wanted.Placement,
			GuestSettings:  wanted.GuestSettings,
			MaxServiceVIPs: wanted.MaxServiceVIPs,
		},
	}
}

// reconcileEndpoint publishes the VIP. An endpoint that is set is never changed:
// certificates and nodes hold it.
func (r *Reconciler) reconcileEndpoint(ctx context.Context, s *scope) error {
	if !s.infra.Spec.ControlPlaneEndpoint.IsZero() || s.loadBalancer == nil || len(s.loadBalancer.Status.VIPs) == 0 {
		return nil
	}
	before := s.infra.DeepCopy()
	s.infra.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{
		Host: s.loadBalancer.Status.VIPs[0], Port: s.loadBalancer.Spec.APIServerPort,
	}
	if err := r.Client.Patch(ctx, s.infra, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("publishing the control-plane endpoint: %w", err)
	}
	return nil
}

// delete takes the load balancer away. Cluster API calls for it only once all
// machines are gone.
func (r *Reconciler) delete(ctx context.Context, s *scope) error {
	if !controllerutil.ContainsFinalizer(s.infra, infrav1.HyperVClusterFinalizer) {
		return nil
	}
	gone, err := r.applier.Delete(ctx, s.infra, &capstanv1.LoadBalancer{}, client.ObjectKeyFromObject(s.infra))
	if err != nil {
		return err
	}
	if !gone {
		s.left = "waiting for the load balancer to go"
		return nil
	}
	before := s.infra.DeepCopy()
	controllerutil.RemoveFinalizer(s.infra, infrav1.HyperVClusterFinalizer)
	if err := r.Client.Patch(ctx, s.infra, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer from HyperVCluster %s: %w", s.infra.Name, err)
	}
	return nil
}
