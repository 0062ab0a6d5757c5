package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/cluster-api/util/annotations"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/source"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;machines,verbs=get;list;watch
// +kubebuilder:rbac:groups=capstan.dev,resources=loadbalancers,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=capstan.dev,resources=virtualmachines;logicalnetworks,verbs=get;list;watch
// +kubebuilder:rbac:groups=ipam.cluster.x-k8s.io,resources=ipaddressclaims,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=ipam.cluster.x-k8s.io,resources=ipaddresses,verbs=get;list;watch

// Connections are those to the workload clusters.
type Connections interface {
	// GetRESTConfig returns how a cluster is reached: the same as long as the
	// connection is the same, clustercache.ErrClusterNotConnected while there is none.
	GetRESTConfig(ctx context.Context, cluster client.ObjectKey) (*rest.Config, error)
	// GetClusterSource tells of connections that come and go.
	GetClusterSource(controllerName string, mapFunc func(context.Context, client.Object) []ctrl.Request, opts ...clustercache.GetClusterSourceOption) source.Source
}

// Reconciler decides for which Clusters Services of type LoadBalancer are looked after.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live        client.Reader
	Connections Connections
	Clock       clock.WithTicker

	sessions sessions
}

// retryEnded is when it is looked again whether a session that was ended has ended.
const retryEnded = 100 * time.Millisecond

// Reconcile begins and ends the session of one Cluster.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	lb, config, err := r.reach(ctx, req.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	present := r.sessions.of(req.NamespacedName)
	if present != nil && lb != nil && present.lb.UID == lb.UID && present.config == config && !present.hasEnded() {
		return ctrl.Result{}, nil
	}
	switch ended := r.sessions.stop(req.NamespacedName); {
	case !ended:
		return ctrl.Result{RequeueAfter: retryEnded}, nil
	case lb == nil:
		return ctrl.Result{}, nil
	}
	if lb, err = r.latest(ctx, lb); lb == nil || err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.sessions.start(req.NamespacedName, func() (*session, error) {
		// It lasts longer than this reconcile, and is ended by the one that says so.
		lasting := ctrllog.IntoContext(context.WithoutCancel(ctx), ctrl.Log.WithName("service").WithValues("Cluster", req.String()))
		return r.newSession(lasting, lb, config)
	})
}

// latest returns a LoadBalancer as the API server has it, or nil if it has it no more: by
// the Services of one that lags behind, addresses that are in use would be given back.
func (r *Reconciler) latest(ctx context.Context, lb *capstanv1.LoadBalancer) (*capstanv1.LoadBalancer, error) {
	now := &capstanv1.LoadBalancer{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(lb), now); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading LoadBalancer %s/%s: %w", lb.Namespace, lb.Name, err)
	}
	if now.UID != lb.UID || !now.DeletionTimestamp.IsZero() {
		// The cache is about to tell.
		return nil, nil
	}
	return now, nil
}

// reach returns the LoadBalancer for a cluster's Services and how the cluster is
// reached, or nil as long as nobody is to look after them.
func (r *Reconciler) reach(ctx context.Context, key client.ObjectKey) (*capstanv1.LoadBalancer, *rest.Config, error) {
	cluster := &clusterv1.Cluster{}
	if err := r.Client.Get(ctx, key, cluster); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil, nil
		}
		return nil, nil, fmt.Errorf("reading Cluster %s: %w", key, err)
	}
	// The addresses of a cluster that is deleted come free with its LoadBalancer.
	if !cluster.DeletionTimestamp.IsZero() || annotations.IsPaused(cluster, cluster) {
		return nil, nil, nil
	}
	lb, err := r.loadBalancerOf(ctx, cluster)
	if lb == nil || err != nil {
		return nil, nil, err
	}
	if !lb.DeletionTimestamp.IsZero() || annotations.HasPaused(lb) {
		return nil, nil, nil
	}
	config, err := r.Connections.GetRESTConfig(ctx, key)
	switch {
	case errors.Is(err, clustercache.ErrClusterNotConnected):
		return nil, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("reaching Cluster %s: %w", key, err)
	}
	return lb, config, nil
}

// loadBalancerOf returns the LoadBalancer that carries a cluster's Services: the one
// that its infrastructure made, or else the oldest that names it.
func (r *Reconciler) loadBalancerOf(ctx context.Context, cluster *clusterv1.Cluster) (*capstanv1.LoadBalancer, error) {
	list := &capstanv1.LoadBalancerList{}
	if err := r.Client.List(ctx, list, client.InNamespace(cluster.Namespace)); err != nil {
		return nil, fmt.Errorf("listing the LoadBalancers in %s: %w", cluster.Namespace, err)
	}
	var chosen *capstanv1.LoadBalancer
	for i := range list.Items {
		lb := &list.Items[i]
		if lb.Spec.ClusterName == cluster.Name && (chosen == nil || comesBefore(lb, chosen, cluster)) {
			chosen = lb
		}
	}
	return chosen, nil
}

func comesBefore(a, b *capstanv1.LoadBalancer, cluster *clusterv1.Cluster) bool {
	if mine, theirs := isMadeFor(a, cluster), isMadeFor(b, cluster); mine != theirs {
		return mine
	}
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}

func isMadeFor(lb *capstanv1.LoadBalancer, cluster *clusterv1.Cluster) bool {
	for _, owner := range lb.OwnerReferences {
		if ref := cluster.Spec.InfrastructureRef; owner.Kind == ref.Kind && owner.Name == ref.Name {
			return true
		}
	}
	return false
}
