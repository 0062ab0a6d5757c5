package rebalance

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/virtualmachine"
)

// survey works out how unevenly the machines are spread, and which of them would be
// elsewhere today.
func (r *Reconciler) survey(ctx context.Context, s *scope) error {
	vms := &capstanv1.VirtualMachineList{}
	if err := r.Client.List(ctx, vms, client.InNamespace(s.wlc.Namespace), client.MatchingLabels{capstanv1.WorkloadClusterLabel: s.wlc.Name}); err != nil {
		return fmt.Errorf("listing VirtualMachines: %w", err)
	}
	places, err := virtualmachine.NewSurvey(ctx, r.Client, r.Placement)
	if err != nil {
		return err
	}
	spread := &capstanv1.SpreadStatus{}
	s.better = map[string]improvement{}
	groups := map[string]bool{}
	for i := range vms.Items {
		vm := &vms.Items[i]
		if vm.Spec.Role == capstanv1.RoleLoadBalancer || vm.Spec.Placement == nil || !vm.DeletionTimestamp.IsZero() {
			continue
		}
		s.vms = append(s.vms, *vm)
		if !groups[vm.Spec.Group] {
			groups[vm.Spec.Group] = true
			skew := places.Skew(vm)
			spread.FailureDomains = max(spread.FailureDomains, int32(skew.FailureDomains))
			spread.Hosts = max(spread.Hosts, int32(skew.Hosts))
			spread.Volumes = max(spread.Volumes, int32(skew.Volumes))
		}
		if host, by := places.Better(vm); by != "" {
			s.better[vm.Name] = improvement{host: host, by: by}
		}
	}
	spread.Misplaced = int32(len(s.better))
	s.wlc.Status.Spread = spread
	return nil
}
