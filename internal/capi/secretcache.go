package capi

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
)

// setupSecretMetadataCache adds a cache of every Secret's metadata to the manager:
// ClusterResourceSets refer to Secrets that belong to no cluster, which the
// manager's own cache leaves out.
func setupSecretMetadataCache(mgr ctrl.Manager) (ctrlcache.Cache, error) {
	period := syncPeriod
	secrets, err := ctrlcache.New(mgr.GetConfig(), ctrlcache.Options{
		Scheme:     mgr.GetScheme(),
		Mapper:     mgr.GetRESTMapper(),
		HTTPClient: mgr.GetHTTPClient(),
		SyncPeriod: &period,
		DefaultTransform: func(in any) (any, error) {
			object, ok := in.(*metav1.PartialObjectMetadata)
			if !ok || object.GroupVersionKind() != corev1.SchemeGroupVersion.WithKind("Secret") {
				return nil, fmt.Errorf("the cache of the metadata of secrets was asked for %T", in)
			}
			return ctrlcache.TransformStripManagedFields()(object)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache of the metadata of secrets: %w", err)
	}
	if err := mgr.Add(secrets); err != nil {
		return nil, fmt.Errorf("adding the cache of the metadata of secrets: %w", err)
	}
	return secrets, nil
}
