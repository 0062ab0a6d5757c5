package addon

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/apply"
)

// absentFor is how soon a cluster that cannot be reached is looked for again. That it
// connects is heard of at once.
const absentFor = 15 * time.Second

// reach connects to the workload cluster, if it is there and its WorkloadCluster's own.
func (r *Reconciler) reach(ctx context.Context, s *scope) error {
	if err := r.connect(ctx, s); err != nil {
		return err
	}
	if s.site == nil {
		s.lookAgain(absentFor)
	}
	return nil
}

func (r *Reconciler) connect(ctx context.Context, s *scope) error {
	key := client.ObjectKeyFromObject(s.wlc)
	cluster := &clusterv1.Cluster{}
	if err := r.Client.Get(ctx, key, cluster); err != nil {
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("reading Cluster %s: %w", key, err)
		}
		s.absent = "waiting for the cluster to be made"
		return nil
	}
	s.cluster = cluster
	switch {
	case !apply.OwnedBy(cluster, s.wlc.UID):
		s.absent = "Cluster " + key.Name + " was made by somebody else, and is left alone"
		return nil
	case !cluster.DeletionTimestamp.IsZero():
		s.absent = "the cluster is being deleted"
		return nil
	case annotations.IsPaused(cluster, s.wlc):
		s.absent = "the cluster is paused"
		return nil
	}
	remote, err := r.Connections.GetUncachedClient(ctx, key)
	switch {
	case errors.Is(err, clustercache.ErrClusterNotConnected):
		s.absent = "waiting for the cluster's API server to answer"
		return nil
	case err != nil:
		return fmt.Errorf("reaching Cluster %s: %w", key, err)
	}
	s.site = &site{remote}
	return nil
}
