package capi

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/cluster-api/controllers/remote"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// setupClusterCache sets up the one ClusterCache that all reconcilers share.
// Each upstream manager narrows its own to what it reads; shared, it may neither
// drop fields nor select objects, because what one reader does without another
// one decides by. Kinds that are read seldom, or would fill the cache, are read
// live instead.
func setupClusterCache(ctx context.Context, mgr ctrl.Manager, secrets client.Client, options Options) (clustercache.ClusterCache, error) {
	clusters, err := clustercache.SetupWithManager(ctx, mgr, clustercache.Options{
		SecretClient: secrets,
		Cache: clustercache.CacheOptions{
			DefaultTransform: ctrlcache.TransformStripManagedFields(),
			Indexes:          []clustercache.CacheOptionsIndex{clustercache.NodeProviderIDIndex},
		},
		Client: clustercache.ClientOptions{
			QPS:       options.RemoteQPS,
			Burst:     options.RemoteBurst,
			UserAgent: remote.DefaultClusterAPIUserAgent("capstan"),
			Cache: clustercache.ClientCacheOptions{DisableFor: []client.Object{
				&corev1.ConfigMap{},
				&corev1.Secret{},
				&corev1.Pod{},
				&appsv1.DaemonSet{},
				&appsv1.Deployment{},
				&storagev1.VolumeAttachment{},
				&corev1.PersistentVolume{},
			}},
		},
	}, options.promptly(options.Concurrency.ClusterCache))
	if err != nil {
		return nil, fmt.Errorf("setting up the cluster cache: %w", err)
	}

	// The interval is no option upstream; the setter is there for upstream's own
	// tests, which wait for connections as a user does.
	retrying, ok := clusters.(interface{ SetConnectionCreationRetryInterval(time.Duration) })
	if !ok {
		return nil, errors.New("this Cluster API's cluster cache does not let its retry interval be set")
	}
	retrying.SetConnectionCreationRetryInterval(options.ConnectionRetryInterval)
	return endWith(mgr, clusters)
}
