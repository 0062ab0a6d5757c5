package loadbalancer

import (
	"context"
	"fmt"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbplan"
)

// reconcilePlan works out the newest plan, numbers it, and gives it to every VM.
func (r *Reconciler) reconcilePlan(ctx context.Context, s *scope) error {
	r.findInstances(s)
	r.meetStuck(ctx, s)
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
	s.refused = append(s.refused, plans.Refused...)
	if err := r.number(ctx, s, plans.Hash); err != nil {
		return err
	}
	s.planned = true
	byName := map[string]lbapi.Plan{}
	for _, plan := range plans.VMs {
		plan.Generation = s.lb.Status.PlanGeneration
		byName[plan.Self] = plan
	}
	// Those that may hold the VIP first: they must know of a new one before it comes. Who
	// hands it over does so when the others are through with it.
	var newcomers []*instance
	for _, handsOver := range []bool{false, true} {
		r.atOnce(s.instances, byName, func(i *instance, plan lbapi.Plan) {
			if !i.isNewcomer(s.lb) && handsOver == (len(plan.VIPs) == 0) {
				r.carryOut(ctx, i, plan)
			}
		})
	}
	for _, i := range s.instances {
		if i.isNewcomer(s.lb) {
			if len(byName[i.vm.Name].VIPs) > 0 {
				i.stranger = r.strangerOf(s, i)
			}
			if i.stranger != "" {
				// It has no plan because none is given to it.
				i.agent.unfitSince(s.now, false)
			}
			newcomers = append(newcomers, i)
		}
	}
	r.atOnce(newcomers, byName, func(i *instance, plan lbapi.Plan) {
		if i.stranger == "" {
			r.carryOut(ctx, i, plan)
		} else {
			r.meet(ctx, i)
		}
	})
	return nil
}

// atOnce does something for each VM that can be asked: one that does not answer
// shall not keep the others waiting.
func (r *Reconciler) atOnce(instances []*instance, plans map[string]lbapi.Plan, do func(*instance, lbapi.Plan)) {
	var all sync.WaitGroup
	for _, i := range instances {
		if plan, ok := plans[i.vm.Name]; ok && i.reason == "" {
			all.Go(func() { do(i, plan) })
		}
	}
	all.Wait()
}

// strangerOf returns a VM that may hold the VIP and has not been told of a new one,
// or "". The two would not hear each other, and both would hold it. It is waited
// for as long as the VIP is known to be carried, and beyond that for a while: then a
// VIP that nobody answers on is the worse of the two.
func (r *Reconciler) strangerOf(s *scope, newcomer *instance) string {
	carried := slices.ContainsFunc(s.instances, func(i *instance) bool { return i.current && roleOf(i.status) != roleUnknown })
	patience := r.Timeouts.withDefaults().Silence
	for _, i := range s.instances {
		if i == newcomer || i.current || i.isNewcomer(s.lb) || isOff(i.vm) {
			continue
		}
		if carried || r.Clock.Since(newcomer.agent.heldBack(r.Clock.Now())) < patience {
			return i.vm.Name
		}
	}
	return ""
}

// isOff tells that a VM's host says that it does not run.
func isOff(vm *capstanv1.VirtualMachine) bool {
	ready := conditions.Get(vm, capstanv1.ReadyCondition)
	return ready != nil && ready.Status == metav1.ConditionFalse && ready.Reason == capstanv1.ReasonVMNotFound
}

// inputOf gathers what a plan is made of. The generation is given later: it is no
// part of what the plan says.
func (r *Reconciler) inputOf(ctx context.Context, s *scope) (lbplan.Input, error) {
	if err := r.findMembers(ctx, s); err != nil {
		return lbplan.Input{}, err
	}
	ca, err := r.clusterCA(ctx, s)
	if err != nil {
		return lbplan.Input{}, err
	}
	address := s.vip.address.Addr().String()
	input := lbplan.Input{
		Generation: max(s.lb.Status.PlanGeneration, 1),
		Cluster:    s.lb.Namespace + "/" + s.lb.Spec.ClusterName,
		VIPs:       []lbapi.VIP{{Address: address, Network: s.vip.address.Masked().String(), VRID: s.vip.vrid}},
		API:        lbplan.API{VIP: address, Port: s.lb.Spec.APIServerPort, CA: ca},
		Machines:   s.members,
	}
	// A VM that is being deleted may still hold the VIP: it stays a peer until it
	// is gone. So does one that is buried, whose host may come back with it running.
	for i := range s.vms {
		if addresses := s.vms[i].Status.Addresses; len(addresses) > 0 {
			input.VMs = append(input.VMs, lbplan.VM{Name: s.vms[i].Name, Address: addresses[0], Resigns: s.resigns(&s.vms[i]) || s.rehearses(&s.vms[i])})
		}
	}
	if input.VMs, err = r.withBuried(ctx, s.lb, input.VMs); err != nil {
		return lbplan.Input{}, err
	}
	return input, r.findServices(ctx, s, &input)
}

// withBuried adds the VMs of which only their tombstones are left.
func (r *Reconciler) withBuried(ctx context.Context, lb *capstanv1.LoadBalancer, vms []lbplan.VM) ([]lbplan.VM, error) {
	tombstones := &capstanv1.TombstoneList{}
	if err := r.Client.List(ctx, tombstones, client.MatchingLabels{capstanv1.LoadBalancerLabel: lb.Name}); err != nil {
		return nil, fmt.Errorf("listing Tombstones: %w", err)
	}
	for i := range tombstones.Items {
		buried := &tombstones.Items[i].Spec
		known := slices.ContainsFunc(vms, func(vm lbplan.VM) bool { return vm.Name == buried.VMRef.Name })
		if buried.VMRef.Namespace != lb.Namespace || len(buried.Addresses) == 0 || known {
			continue
		}
		// Its own address is the first, if it had one: what follows are VIPs, and their
		// virtual router ID.
		own := buried.Addresses[0].Address
		if _, isRouter := addresspool.ParseVirtualRouter(own); !isRouter && !slices.Contains(lb.Status.VIPs, own) {
			vms = append(vms, lbplan.VM{Name: buried.VMRef.Name, Address: own})
		}
	}
	return vms, nil
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
	// What else is known already goes along.
	status.ObservedGeneration = s.lb.Generation
	setVIP(s)
	status.PlanGeneration = max(status.PlanGeneration, highest) + 1
	status.PlanHash, status.PlannedGeneration = hash, s.lb.Generation
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
