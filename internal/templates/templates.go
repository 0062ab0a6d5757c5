// Package templates removes templates that nothing refers to any more. Templates
// are named by their content, so every change of size or image leaves one behind.
package templates

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
)

// Prune deletes owner's templates that match selector, except those named by
// keepMachine and keepConfig, and those that a MachineSet or an existing machine
// still refers to.
func Prune(ctx context.Context, c client.Client, owner metav1.Object, keepMachine, keepConfig string, selector client.MatchingLabels) error {
	inNamespace := client.InNamespace(owner.GetNamespace())
	machineTemplates := &infrav1.HyperVMachineTemplateList{}
	if err := c.List(ctx, machineTemplates, inNamespace, selector); err != nil {
		return fmt.Errorf("listing HyperVMachineTemplates: %w", err)
	}
	configTemplates := &bootstrapv1.KubeadmConfigTemplateList{}
	if err := c.List(ctx, configTemplates, inNamespace, selector); err != nil {
		return fmt.Errorf("listing KubeadmConfigTemplates: %w", err)
	}
	var candidates []client.Object
	for i := range machineTemplates.Items {
		if t := &machineTemplates.Items[i]; t.Name != keepMachine && prunable(t, owner) {
			candidates = append(candidates, t)
		}
	}
	for i := range configTemplates.Items {
		if t := &configTemplates.Items[i]; t.Name != keepConfig && prunable(t, owner) {
			candidates = append(candidates, t)
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	used, err := inUse(ctx, c, inNamespace)
	if err != nil {
		return err
	}
	for _, t := range candidates {
		if used[t.GetName()] {
			continue
		}
		if err := c.Delete(ctx, t); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting %T %s, which nothing refers to: %w", t, t.GetName(), err)
		}
	}
	return nil
}

func prunable(t client.Object, owner metav1.Object) bool {
	return t.GetDeletionTimestamp().IsZero() && apply.OwnedBy(t, owner.GetUID())
}

// inUse returns the names of all templates that something refers to. Names of
// the two kinds are told apart by nothing: a name that is in use for one kind
// keeps that of the other too, which errs on the safe side.
func inUse(ctx context.Context, c client.Client, inNamespace client.InNamespace) (map[string]bool, error) {
	used := map[string]bool{}
	sets := &clusterv1.MachineSetList{}
	if err := c.List(ctx, sets, inNamespace); err != nil {
		return nil, fmt.Errorf("listing MachineSets: %w", err)
	}
	for i := range sets.Items {
		spec := sets.Items[i].Spec.Template.Spec
		used[spec.InfrastructureRef.Name] = true
		used[spec.Bootstrap.ConfigRef.Name] = true
	}
	machines := &infrav1.HyperVMachineList{}
	if err := c.List(ctx, machines, inNamespace); err != nil {
		return nil, fmt.Errorf("listing HyperVMachines: %w", err)
	}
	for i := range machines.Items {
		used[machines.Items[i].Annotations[clusterv1.TemplateClonedFromNameAnnotation]] = true
	}
	return used, nil
}
