package virtualmachine

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// bootstrapKey is where Cluster API's contract puts bootstrap data.
const bootstrapKey = "value"

// findCluster reads the Cluster of the VM. One that is not there is no reason to
// wait; one that is paused is.
func (r *Reconciler) findCluster(ctx context.Context, s *scope) error {
	s.paused = paused(s.vm)
	cluster := &clusterv1.Cluster{}
	key := client.ObjectKey{Namespace: s.vm.Namespace, Name: s.vm.Spec.ClusterName}
	switch err := r.Client.Get(ctx, key, cluster); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading Cluster %s: %w", key, err)
	}
	s.cluster = cluster
	s.paused = s.paused || ptr.Deref(cluster.Spec.Paused, false)
	return nil
}

// identify records who the VM is, and the finalizer, before anything is done in
// its name, and waits for what it cannot begin without.
func (r *Reconciler) identify(ctx context.Context, s *scope) (*wait, error) {
	before := s.vm.DeepCopy()
	changed := controllerutil.AddFinalizer(s.vm, capstanv1.VirtualMachineFinalizer)
	if s.vm.Spec.ID == "" {
		s.vm.Spec.ID = string(s.vm.UID)
		changed = true
	}
	if changed {
		if err := r.record(ctx, before, s.vm); err != nil {
			return nil, fmt.Errorf("recording the identity of VirtualMachine %s: %w", s.vm.Name, err)
		}
	}
	// The configuration of a load balancer names its address, so it can only be made
	// once there is one: create waits for it.
	if s.vm.Spec.Placement != nil || s.vm.Spec.Role == capstanv1.RoleLoadBalancer {
		return nil, nil
	}
	_, waiting, err := r.bootstrapData(ctx, s)
	return waiting, err
}

// record writes a change of metadata or spec, unless somebody else was faster.
func (r *Reconciler) record(ctx context.Context, before, after *capstanv1.VirtualMachine) error {
	return r.Client.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(capstanv1.FieldOwner))
}

// bootstrapData reads the Secret past the cache, which keeps no such data.
func (r *Reconciler) bootstrapData(ctx context.Context, s *scope) (map[string][]byte, *wait, error) {
	if s.vm.Spec.BootstrapSecret == "" {
		return nil, &wait{reason: capstanv1.ReasonWaitingForBootstrapData, message: "waiting for spec.bootstrapSecret to be set"}, nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: s.vm.Namespace, Name: s.vm.Spec.BootstrapSecret}
	err := r.Live.Get(ctx, key, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, &wait{
			reason: capstanv1.ReasonWaitingForBootstrapData, requeue: pollWaiting,
			message: fmt.Sprintf("waiting for Secret %s", key.Name),
		}, nil
	case err != nil:
		return nil, nil, fmt.Errorf("reading Secret %s: %w", key, err)
	case len(secret.Data[bootstrapKey]) == 0:
		return nil, &wait{
			reason: capstanv1.ReasonWaitingForBootstrapData, requeue: pollWaiting,
			message: fmt.Sprintf("waiting for Secret %s to have the key %s", key.Name, bootstrapKey),
		}, nil
	}
	return secret.Data, nil, nil
}
