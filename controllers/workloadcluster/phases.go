package workloadcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/templates"
	"github.com/capstan-k8s/capstan/internal/translate"
)

// clusterGoingError says that somebody deleted the Cluster, and not its
// WorkloadCluster.
type clusterGoingError struct{ name string }

// Error implements error.
func (e *clusterGoingError) Error() string {
	return fmt.Sprintf("Cluster %s is being deleted, and this WorkloadCluster is not: it is made again from nothing once all of it is gone; to be rid of it delete the WorkloadCluster", e.name)
}

// reconcileOwnership refuses a Cluster of this name that was made by somebody
// else, before anything is made beside it. One that is being deleted is given
// nothing more, or its deletion would never end.
func (r *Reconciler) reconcileOwnership(ctx context.Context, s *scope) error {
	s.cluster = &clusterv1.Cluster{}
	key := client.ObjectKeyFromObject(s.wlc)
	err := r.Client.Get(ctx, key, s.cluster)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, key, s.cluster)
	}
	switch {
	case apierrors.IsNotFound(err):
		s.cluster = nil
		return nil
	case err != nil:
		s.cluster = nil
		return fmt.Errorf("reading Cluster %s: %w", key, err)
	case !apply.OwnedBy(s.cluster, s.wlc.UID):
		s.cluster = nil
		return &apply.NotOwnedError{Kind: "Cluster", Namespace: key.Namespace, Name: key.Name, Owner: "WorkloadCluster " + key.Name}
	case !s.cluster.DeletionTimestamp.IsZero():
		return &clusterGoingError{key.Name}
	}
	return nil
}

// reconcileChildren applies all that stands for the cluster. What the Cluster
// refers to belongs to it from the first moment, as Cluster API would make it a
// few rounds later: all its controllers can set to work at once. The Cluster is
// given a second by Cluster API itself, which limits its rounds, before it looks
// for them.
func (r *Reconciler) reconcileChildren(ctx context.Context, s *scope) error {
	now, err := r.resolveImages(ctx, s)
	if err != nil {
		return err
	}
	cluster := &clusterv1.Cluster{}
	if err := r.applier.Object(ctx, s.wlc, translate.Cluster(s.wlc), cluster); err != nil {
		return err
	}
	s.cluster = cluster
	if err := pausedBySomebody(cluster); err != nil {
		return err
	}

	infra := translate.HyperVCluster(s.wlc, now)
	translate.BelongTo(infra, cluster)
	s.infra = &infrav1.HyperVCluster{}
	if err := r.applier.Object(ctx, s.wlc, infra, s.infra); err != nil {
		return err
	}
	controlPlane, template := translate.ControlPlane(s.wlc, now)
	if err := r.applier.Object(ctx, s.wlc, template, &infrav1.HyperVMachineTemplate{}); err != nil {
		return err
	}
	translate.BelongTo(controlPlane, cluster)
	s.controlPlane = &controlplanev1.KubeadmControlPlane{}
	if err := r.applier.Object(ctx, s.wlc, controlPlane, s.controlPlane); err != nil {
		return err
	}
	return r.applier.Object(ctx, s.wlc, translate.ControlPlaneHealthCheck(s.wlc), &clusterv1.MachineHealthCheck{})
}

// pruneTemplates removes templates of control-plane machines that nothing refers
// to any more.
func (r *Reconciler) pruneTemplates(ctx context.Context, s *scope) error {
	keep := s.controlPlane.Spec.MachineTemplate.Spec.InfrastructureRef.Name
	return templates.Prune(ctx, r.Client, s.wlc, keep, "", client.MatchingLabels{capstanv1.WorkloadClusterLabel: s.wlc.Name})
}

// observe reads what the status is made from, in an order of its own: a cache has none,
// and the first that waits is told of.
func (r *Reconciler) observe(ctx context.Context, s *scope) error {
	pools := &capstanv1.NodePoolList{}
	if err := r.Client.List(ctx, pools, client.InNamespace(s.wlc.Namespace)); err != nil {
		return fmt.Errorf("listing NodePools: %w", err)
	}
	settled := controlPlaneSettled(s.controlPlane)
	for i := range pools.Items {
		if pool := &pools.Items[i]; pool.Spec.ClusterName == s.wlc.Name {
			s.pools = append(s.pools, *pool)
			settled = settled && conditions.IsCurrentlyTrue(pool, capstanv1.ReadyCondition)
		}
	}
	slices.SortFunc(s.pools, func(a, b capstanv1.NodePool) int { return strings.Compare(a.Name, b.Name) })
	infra := &infrav1.HyperVMachineList{}
	if err := r.Client.List(ctx, infra, client.InNamespace(s.wlc.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: s.wlc.Name}); err != nil {
		return fmt.Errorf("listing HyperVMachines: %w", err)
	}
	s.infraMachines = infra.Items
	slices.SortFunc(s.infraMachines, func(a, b infrav1.HyperVMachine) int { return strings.Compare(a.Name, b.Name) })
	if settled {
		return nil
	}
	var err error
	s.machines, err = machinesOf(ctx, r.Client, s.wlc)
	return err
}
