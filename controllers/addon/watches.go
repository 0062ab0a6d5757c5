package addon

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// byConfigMap indexes WorkloadClusters by the ConfigMaps that hold their manifests.
const byConfigMap = "spec.addons.configMaps"

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	r.writer = &conditions.Writer{Client: r.Client, Summary: capstanv1.AddonsReadyCondition}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &capstanv1.WorkloadCluster{}, byConfigMap, configMapsOf); err != nil {
		return fmt.Errorf("indexing WorkloadClusters by ConfigMap: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("addon").
		For(&capstanv1.WorkloadCluster{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		// Their content is read when it is needed: a cache of it would hold all ConfigMaps.
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.clustersOf)).
		WatchesRawSource(r.Connections.GetClusterSource("addon", func(_ context.Context, cluster client.Object) []ctrl.Request {
			return []ctrl.Request{{NamespacedName: client.ObjectKeyFromObject(cluster)}}
		})).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

func configMapsOf(obj client.Object) []string {
	wlc, ok := obj.(*capstanv1.WorkloadCluster)
	if !ok {
		return nil
	}
	var names []string
	for _, ref := range wlc.Spec.Addons.CNI.ConfigMapRefs {
		names = append(names, ref.Name)
	}
	for i := range wlc.Spec.Addons.Manifests {
		for _, ref := range wlc.Spec.Addons.Manifests[i].ConfigMapRefs {
			names = append(names, ref.Name)
		}
	}
	return names
}

// clustersOf are the WorkloadClusters whose manifests a ConfigMap holds.
func (r *Reconciler) clustersOf(ctx context.Context, configMap client.Object) []reconcile.Request {
	list := &capstanv1.WorkloadClusterList{}
	if err := r.Client.List(ctx, list, client.InNamespace(configMap.GetNamespace()), client.MatchingFields{byConfigMap: configMap.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the WorkloadClusters whose manifests a ConfigMap holds", "ConfigMap", configMap.GetNamespace()+"/"+configMap.GetName())
		return nil
	}
	requests := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}
