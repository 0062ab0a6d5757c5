package workloadcluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/translate"
)

// pausedError says that the work on a cluster stands still, and how it goes on.
type pausedError struct{ message string }

// Error implements error.
func (e *pausedError) Error() string { return e.message }

const pausedMessage = "the cluster is paused: roll-outs, scaling, repair and deletion stand still until spec.paused is false"

// holdWhilePaused passes a pause on to the Cluster, by which all who work on parts
// of it know, and makes and changes nothing else.
func (r *Reconciler) holdWhilePaused(ctx context.Context, s *scope) error {
	if !s.wlc.Spec.Paused {
		return nil
	}
	if s.cluster != nil {
		cluster := &clusterv1.Cluster{}
		if err := r.applier.Object(ctx, s.wlc, translate.Cluster(s.wlc), cluster); err != nil {
			return err
		}
	}
	return &pausedError{pausedMessage}
}

// pausedBySomebody tells of a pause that is not the WorkloadCluster's. Its children
// stand still with it.
func pausedBySomebody(cluster *clusterv1.Cluster) error {
	if !ptr.Deref(cluster.Spec.Paused, false) {
		return nil
	}
	return &pausedError{fmt.Sprintf("Cluster %s was paused by somebody else: nothing is done until its spec.paused is false", cluster.Name)}
}

// pauseDeletion lets the deletion of the Cluster stand still or go on. It may be
// going already, and what goes is not applied any more.
func (r *Reconciler) pauseDeletion(ctx context.Context, wlc *capstanv1.WorkloadCluster) error {
	cluster := &clusterv1.Cluster{}
	switch err := r.Client.Get(ctx, client.ObjectKeyFromObject(wlc), cluster); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading Cluster %s: %w", wlc.Name, err)
	case !apply.OwnedBy(cluster, wlc.UID) || ptr.Deref(cluster.Spec.Paused, false) == wlc.Spec.Paused:
		return nil
	}
	before := cluster.DeepCopy()
	cluster.Spec.Paused = nil
	if wlc.Spec.Paused {
		cluster.Spec.Paused = ptr.To(true)
	}
	if err := r.Client.Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}),
		client.FieldOwner(capstanv1.FieldOwner)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("pausing or resuming Cluster %s: %w", cluster.Name, err)
	}
	return nil
}

func setPaused(wlc *capstanv1.WorkloadCluster) {
	if wlc.Spec.Paused {
		conditions.True(wlc, capstanv1.PausedCondition, capstanv1.ReasonPaused, "%s", pausedMessage)
		return
	}
	conditions.Remove(wlc, capstanv1.PausedCondition)
}
