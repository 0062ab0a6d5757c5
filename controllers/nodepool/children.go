package nodepool

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/templates"
	"github.com/capstan-k8s/capstan/internal/translate"
)

// findDeployment finds the MachineDeployment as it is.
func (r *Reconciler) findDeployment(ctx context.Context, s *scope) error {
	existing := &clusterv1.MachineDeployment{}
	switch err := r.Client.Get(ctx, client.ObjectKeyFromObject(s.pool), existing); {
	case apierrors.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("reading MachineDeployment %s: %w", s.pool.Name, err)
	default:
		s.existing = existing
	}
	return nil
}

// decide works out what shall stand for the pool.
func (r *Reconciler) decide(ctx context.Context, s *scope) error {
	existing := &clusterv1.MachineDeployment{}
	if s.existing != nil {
		existing = s.existing
	}
	var err error
	if s.version, err = planVersion(s.pool, s.cluster, existing.Spec.Template.Spec.Version); err != nil {
		return err
	}
	image, err := r.resolveImage(ctx, s, s.version.version, existing)
	if err != nil {
		return err
	}
	s.objects = translate.NodePool(s.cluster, s.pool, s.version.version, image)
	return nil
}

// reconcileChildren applies all that stands for the pool, what is referred to
// before what refers to it.
func (r *Reconciler) reconcileChildren(ctx context.Context, s *scope) error {
	objects := &s.objects
	if objects.MachineTemplate != nil {
		if err := r.applier.Object(ctx, s.pool, objects.MachineTemplate, &infrav1.HyperVMachineTemplate{}); err != nil {
			return err
		}
	}
	if objects.BootstrapConfig != nil {
		if err := r.applier.Object(ctx, s.pool, objects.BootstrapConfig, &bootstrapv1.KubeadmConfigTemplate{}); err != nil {
			return err
		}
	}
	s.deployment = &clusterv1.MachineDeployment{}
	if err := r.applier.Object(ctx, s.pool, objects.Machines, s.deployment); err != nil {
		return err
	}
	if !s.held {
		s.pool.Status.PendingRollout = nil
	}
	return r.applier.Object(ctx, s.pool, objects.HealthCheck, &clusterv1.MachineHealthCheck{})
}

// prune removes the templates that the pool's machines were made from before.
func (r *Reconciler) prune(ctx context.Context, s *scope) error {
	spec := &s.objects.Machines.Spec.Template.Spec
	return templates.Prune(ctx, r.Client, s.pool, spec.InfrastructureRef.Name, spec.Bootstrap.ConfigRef.Name,
		client.MatchingLabels{capstanv1.NodePoolLabel: s.pool.Name})
}
