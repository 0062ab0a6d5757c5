package capi

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/core/setup"
	"sigs.k8s.io/cluster-api/feature"
	"sigs.k8s.io/cluster-api/util/secret"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// featureGates are set and not left to upstream's defaults, because the
// reconcilers that SetupReconcilers knows are these gates' counterpart.
// ReconcilerRateLimiting costs a second for each step of a machine's way and is
// off. It is also what keeps a reconciler from acting on a cache that has not seen
// its own last write yet, and so from making a Machine twice: that is done by
// readYourWrites instead. See docs/adr/0006.
// RuntimeSDK and InPlaceUpdates need a client that upstream keeps internal.
var featureGates = map[string]bool{
	string(feature.MachinePool):               true,
	string(feature.MachineSetPreflightChecks): true,
	string(feature.PriorityQueue):             true,
	string(feature.ReconcilerRateLimiting):    false,
	string(feature.ClusterTopology):           false,
	string(feature.RuntimeSDK):                false,
	string(feature.InPlaceUpdates):            false,
}

const (
	// syncPeriod is how often Cluster API looks at everything again.
	syncPeriod = 10 * time.Minute
	// cacheSyncTimeout leaves caches the time that many objects take.
	cacheSyncTimeout = 5 * time.Minute
)

// ConfigureManager adds to a manager's options what Cluster API's reconcilers
// rely on, and sets Cluster API's feature gates, which are the process's own.
// What the options hold already stays.
func ConfigureManager(options *ctrl.Options) error {
	if err := feature.MutableGates.SetFromMap(featureGates); err != nil {
		return fmt.Errorf("setting the feature gates of Cluster API: %w", err)
	}

	secrets, err := secretCache()
	if err != nil {
		return err
	}
	if options.Cache.ByObject == nil {
		options.Cache.ByObject = map[client.Object]ctrlcache.ByObject{}
	}
	options.Cache.ByObject[&corev1.Secret{}] = secrets
	if options.Cache.SyncPeriod == nil {
		period := syncPeriod
		options.Cache.SyncPeriod = &period
	}

	if options.NewClient == nil {
		options.NewClient = newReadYourWrites
	}
	upstream := setup.ManagerClientOptions()
	if options.Client.Cache == nil {
		options.Client.Cache = &client.CacheOptions{}
	}
	options.Client.Cache.DisableFor = append(options.Client.Cache.DisableFor, upstream.Cache.DisableFor...)
	options.Client.Cache.Unstructured = upstream.Cache.Unstructured

	priorityQueue := feature.Gates.Enabled(feature.PriorityQueue)
	options.Controller.UsePriorityQueue = &priorityQueue
	setDefault(&options.Controller.CacheSyncTimeout, cacheSyncTimeout)
	return nil
}

// secretCache keeps the Secrets of clusters, and of those only the ones with a
// purpose with their data. Core alone would keep kubeconfigs only, but the
// kubeadm providers read the certificate authorities through the same cache.
func secretCache() (ctrlcache.ByObject, error) {
	ofCluster, err := labels.NewRequirement(clusterv1.ClusterNameLabel, selection.Exists, nil)
	if err != nil {
		return ctrlcache.ByObject{}, fmt.Errorf("selecting the secrets of clusters: %w", err)
	}
	return ctrlcache.ByObject{
		Label: labels.NewSelector().Add(*ofCluster),
		Transform: func(in any) (any, error) {
			if s, ok := in.(*corev1.Secret); ok {
				s.SetManagedFields(nil)
				if !secret.HasPurposeSuffix(s.Name) {
					s.Data = nil
				}
			}
			return in, nil
		},
	}, nil
}
