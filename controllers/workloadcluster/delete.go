package workloadcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/templates"
	"github.com/capstan-k8s/capstan/internal/translate"
)

// delete takes the cluster away. Cluster API keeps the order: workers, control
// plane, infrastructure. What it never came to know, because the Cluster was not
// made yet, is deleted here.
func (r *Reconciler) delete(ctx context.Context, s *scope) error {
	if !controllerutil.ContainsFinalizer(s.wlc, capstanv1.WorkloadClusterFinalizer) {
		return nil
	}
	if err := r.pauseDeletion(ctx, s.wlc); err != nil {
		return err
	}
	if s.wlc.Spec.Paused {
		return &pausedError{pausedMessage}
	}
	key := client.ObjectKeyFromObject(s.wlc)
	cpKey := client.ObjectKey{Namespace: key.Namespace, Name: translate.ControlPlaneName(key.Name)}
	// The health check goes first: it must not call for the repair of machines
	// that are being taken away.
	if _, err := r.applier.Delete(ctx, s.wlc, &clusterv1.MachineHealthCheck{}, cpKey); err != nil {
		return err
	}
	for _, child := range []struct {
		obj client.Object
		key client.ObjectKey
	}{
		{&clusterv1.Cluster{}, key},
		{&controlplanev1.KubeadmControlPlane{}, cpKey},
		{&infrav1.HyperVCluster{}, key},
	} {
		gone, err := r.applier.Delete(ctx, s.wlc, child.obj, child.key)
		if err != nil {
			return err
		}
		if !gone {
			s.left, err = r.whatIsLeft(ctx, s.wlc)
			return err
		}
	}
	if err := templates.Prune(ctx, r.Client, s.wlc, "", "", client.MatchingLabels{capstanv1.WorkloadClusterLabel: s.wlc.Name}); err != nil {
		return err
	}
	before := s.wlc.DeepCopy()
	controllerutil.RemoveFinalizer(s.wlc, capstanv1.WorkloadClusterFinalizer)
	if err := r.Client.Patch(ctx, s.wlc, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer from WorkloadCluster %s: %w", key, err)
	}
	return nil
}

// whatIsLeft says in words what the deletion waits for.
func (r *Reconciler) whatIsLeft(ctx context.Context, wlc *capstanv1.WorkloadCluster) (string, error) {
	vms := &capstanv1.VirtualMachineList{}
	if err := r.Client.List(ctx, vms, client.InNamespace(wlc.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: wlc.Name}); err != nil {
		return "", fmt.Errorf("listing VirtualMachines: %w", err)
	}
	if len(vms.Items) == 0 {
		return "waiting for Cluster API to finish", nil
	}
	names := make([]string, 0, len(vms.Items))
	for i := range vms.Items {
		names = append(names, vms.Items[i].Name)
	}
	// A cache lists in no order, and each other order would be another message.
	slices.Sort(names)
	return fmt.Sprintf("waiting for %s: %s", conditions.Counted(len(names), "virtual machine"), strings.Join(names, ", ")), nil
}
