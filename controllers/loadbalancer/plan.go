package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbplan"
)

// reconcilePlan works out the newest plan, numbers it, and gives it to every VM.
func (r *Reconciler) reconcilePlan(ctx context.Context, s *scope) error {
	r.findInstances(s)
	if !s.vip.isAllocated() {
		return nil
	}
	input, err := r.inputOf(ctx, s)
	if err != nil {
		return err
	}
	plans, err := lbplan.Compute(input)
	if err != nil {
		return err
	}
	if len(plans.VMs) == 0 {
		return nil
	}
	if err := r.number(ctx, s, plans.Hash); err != nil {
		return err
	}
	byName := map[string]lbapi.Plan{}
	for _, plan := range plans.VMs {
		plan.Generation = s.lb.Status.PlanGeneration
		byName[plan.Self] = plan
	}
	// At once: one that does not answer shall not keep the others waiting.
	var all sync.WaitGroup
	for _, i := range s.instances {
		if plan, ok := byName[i.vm.Name]; ok && i.reason == "" {
			all.Go(func() { r.carryOut(ctx, i, plan) })
		}
	}
	all.Wait()
	for _, i := range s.instances {
		if errors.Is(i.err, errTokenLost) {
			if err := r.deleteVM(ctx, i.vm); err != nil {
				return err
			}
		}
	}
	return nil
}

// inputOf gathers what a plan is made of. The generation is given later: it is no
// part of what the plan says.
func (r *Reconciler) inputOf(ctx context.Context, s *scope) (lbplan.Input, error) {
	ca, err := r.clusterCA(ctx, s.lb)
	if err != nil {
		return lbplan.Input{}, err
	}
	members, err := r.members(ctx, s.lb)
	if err != nil {
		return lbplan.Input{}, err
	}
	address := s.vip.address.Addr().String()
	input := lbplan.Input{
		Generation: max(s.lb.Status.PlanGeneration, 1),
		Cluster:    s.lb.Namespace + "/" + s.lb.Spec.ClusterName,
		VIPs:       []lbapi.VIP{{Address: address, Network: s.vip.address.Masked().String(), VRID: s.vip.vrid}},
		API:        lbplan.API{VIP: address, Port: s.lb.Spec.APIServerPort, CA: ca},
		Machines:   members,
	}
	// A VM that is being deleted may still hold the VIP: it stays a peer until it
	// is gone.
	for i := range s.vms {
		if addresses := s.vms[i].Status.Addresses; len(addresses) > 0 {
			input.VMs = append(input.VMs, lbplan.VM{Name: s.vms[i].Name, Address: addresses[0]})
		}
	}
	return input, nil
}

// number records the number of the newest plan before anybody sees it, so that
// one number never has two contents. It goes beyond every number that a VM is
// known to have: a status that was lost or moved begins at 0 again.
func (r *Reconciler) number(ctx context.Context, s *scope, hash string) error {
	status := &s.lb.Status
	highest, taken := r.agents.generations(client.ObjectKeyFromObject(s.lb))
	if status.PlanGeneration > 0 && status.PlanHash == hash && status.PlanGeneration >= highest && !taken {
		return nil
	}
	before := s.lb.DeepCopy()
	status.PlanGeneration = max(status.PlanGeneration, highest) + 1
	status.PlanHash = hash
	err := r.Client.Status().Patch(ctx, s.lb, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}),
		client.FieldOwner(capstanv1.FieldOwner))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		s.behind = true
		return fmt.Errorf("numbering the plan of LoadBalancer %s: %w", s.lb.Name, err)
	}
	if err != nil {
		return fmt.Errorf("numbering the plan of LoadBalancer %s: %w", s.lb.Name, err)
	}
	r.agents.renumbered(client.ObjectKeyFromObject(s.lb))
	return nil
}
