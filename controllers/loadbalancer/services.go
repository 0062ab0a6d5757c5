package loadbalancer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/lbplan"
)

// serviceVIP is a virtual address for Services, and the claim that holds it.
type serviceVIP struct {
	claim   *ipamv1.IPAddressClaim
	address string
}

// findServices adds to the input of a plan what the spec says of Services, as far as
// it holds their virtual addresses: what somebody writes into the spec must not take
// an address that is not the load balancer's.
func (r *Reconciler) findServices(ctx context.Context, s *scope, input *lbplan.Input) error {
	var err error
	if s.serviceVIPs, err = r.serviceVIPsOf(ctx, r.Client, s.lb); err != nil {
		return err
	}
	held := map[string]bool{}
	for _, vip := range s.serviceVIPs {
		if vip.claim.DeletionTimestamp.IsZero() && vip.address != "" {
			held[vip.address] = true
		}
	}
	for _, service := range s.lb.Spec.Services {
		if !held[service.VIP] {
			s.refused = append(s.refused, lbplan.Refusal{
				Name: service.Name, Why: service.VIP + " is not held by an IPAddressClaim of this LoadBalancer",
			})
			continue
		}
		planned := lbplan.Service{
			Name: service.Name, VIP: service.VIP, AllowedSources: service.AllowedSources, HealthCheckPort: service.HealthCheckPort,
		}
		for _, port := range service.Ports {
			planned.Ports = append(planned.Ports, lbplan.Port{Port: port.Port, NodePort: port.NodePort})
		}
		input.Services = append(input.Services, planned)
	}
	for _, node := range s.lb.Spec.Nodes {
		input.Nodes = append(input.Nodes, lbplan.Node{Name: node.Name, Address: node.Address, Draining: node.Draining})
	}
	return nil
}

// serviceVIPsOf returns the claims that were made for Services, each with its address
// if it has one.
func (r *Reconciler) serviceVIPsOf(ctx context.Context, from client.Reader, lb *capstanv1.LoadBalancer) ([]serviceVIP, error) {
	claims := &ipamv1.IPAddressClaimList{}
	if err := from.List(ctx, claims, client.InNamespace(lb.Namespace),
		client.MatchingLabels{capstanv1.LoadBalancerLabel: lb.Name}, client.HasLabels{capstanv1.ServiceVIPLabel}); err != nil {
		return nil, fmt.Errorf("listing the IPAddressClaims of LoadBalancer %s: %w", lb.Name, err)
	}
	var vips []serviceVIP
	for i := range claims.Items {
		claim := &claims.Items[i]
		if !metav1.IsControlledBy(claim, lb) {
			continue
		}
		address, err := ipam.AddressOf(ctx, r.Client, r.Live, claim)
		if err != nil {
			return nil, err
		}
		vips = append(vips, serviceVIP{claim: claim, address: address.Spec.Address})
	}
	return vips, nil
}

// reconcileReleases lets go of the virtual addresses whose claims were deleted, once
// no VM can hold them any more: somebody else may have them a moment later.
func (r *Reconciler) reconcileReleases(ctx context.Context, s *scope) error {
	for _, i := range s.instances {
		if !i.current && i.hasCarried(s.lb) && !isOff(i.vm) {
			return nil
		}
	}
	for _, vip := range s.serviceVIPs {
		if vip.claim.DeletionTimestamp.IsZero() {
			continue
		}
		if err := r.freeVIP(ctx, vip.claim); err != nil {
			return err
		}
	}
	return nil
}

// releaseServiceVIPs gives all virtual addresses for Services back, and tells whether
// they are free. Nobody who knows the Services is asked: their cluster may be gone.
func (r *Reconciler) releaseServiceVIPs(ctx context.Context, lb *capstanv1.LoadBalancer) (free bool, err error) {
	vips, err := r.serviceVIPsOf(ctx, r.Live, lb)
	if err != nil {
		return false, err
	}
	for _, vip := range vips {
		if vip.claim.DeletionTimestamp.IsZero() {
			uid := vip.claim.UID
			if err := r.Client.Delete(ctx, vip.claim, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
				return false, fmt.Errorf("deleting IPAddressClaim %s: %w", vip.claim.Name, err)
			}
			continue
		}
		if err := r.freeVIP(ctx, vip.claim); err != nil {
			return false, err
		}
	}
	return len(vips) == 0, nil
}

// freeOrphans lets go of deleted claims that were made for a LoadBalancer when it had gone
// already, and that nobody else would let go of. Its VMs went before it.
func (r *Reconciler) freeOrphans(ctx context.Context, key client.ObjectKey) error {
	claims := &ipamv1.IPAddressClaimList{}
	if err := r.Client.List(ctx, claims, client.InNamespace(key.Namespace), client.MatchingLabels{capstanv1.LoadBalancerLabel: key.Name}); err != nil {
		return fmt.Errorf("listing the IPAddressClaims of LoadBalancer %s: %w", key.Name, err)
	}
	if len(claims.Items) == 0 {
		return nil
	}
	switch err := r.Live.Get(ctx, key, &capstanv1.LoadBalancer{}); {
	case err == nil:
		// It is new, and its own reconcile comes.
		return nil
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("reading LoadBalancer %s: %w", key, err)
	}
	for i := range claims.Items {
		claim := &claims.Items[i]
		owner := metav1.GetControllerOf(claim)
		if claim.DeletionTimestamp.IsZero() || owner == nil || owner.Kind != "LoadBalancer" || owner.Name != key.Name {
			continue
		}
		if err := r.freeVIP(ctx, claim); err != nil {
			return err
		}
	}
	return nil
}

// freeVIP lets the address of a deleted claim come free.
func (r *Reconciler) freeVIP(ctx context.Context, claim *ipamv1.IPAddressClaim) error {
	if !controllerutil.ContainsFinalizer(claim, capstanv1.LoadBalancerFinalizer) {
		return nil
	}
	before := claim.DeepCopy()
	controllerutil.RemoveFinalizer(claim, capstanv1.LoadBalancerFinalizer)
	err := r.Client.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer from IPAddressClaim %s: %w", claim.Name, err)
	}
	return nil
}

// maxRefusalsTold keeps a message readable.
const maxRefusalsTold = 20

// setServices tells which Services are not carried, and why.
func setServices(s *scope) {
	if !s.planned {
		return
	}
	s.lb.Status.PlannedGeneration = s.lb.Generation
	s.lb.Status.RefusedServices = refusedServices(s.refused)
	if len(s.lb.Spec.Services) == 0 {
		conditions.Remove(s.lb, capstanv1.ServicesPlannedCondition)
		return
	}
	if len(s.refused) == 0 {
		conditions.True(s.lb, capstanv1.ServicesPlannedCondition, capstanv1.ReasonPlanned, "all %d Services are in plan %d",
			len(s.lb.Spec.Services), s.lb.Status.PlanGeneration)
		return
	}
	told := make([]string, 0, maxRefusalsTold+1)
	for _, refusal := range s.refused[:min(len(s.refused), maxRefusalsTold)] {
		told = append(told, refusal.String())
	}
	if more := len(s.refused) - len(told); more > 0 {
		told = append(told, fmt.Sprintf("and %d more", more))
	}
	conditions.False(s.lb, capstanv1.ServicesPlannedCondition, capstanv1.ReasonServicesRefused, "%s", strings.Join(told, "; "))
}

// setServiceVIPs tells whether the Services of the cluster may have one more virtual
// address. One that is being given back is still theirs: it is neither free for others nor
// off the quota before no virtual machine can hold it.
func setServiceVIPs(s *scope) {
	limit := s.lb.Spec.MaxServiceVIPs
	switch {
	case limit == nil:
		conditions.Remove(s.lb, capstanv1.ServiceVIPsAvailableCondition)
		return
	case !s.planned:
		return
	}
	taken, ending := int32(0), 0
	for _, vip := range s.serviceVIPs {
		taken++
		if !vip.claim.DeletionTimestamp.IsZero() {
			ending++
		}
	}
	said := fmt.Sprintf("Services have %d virtual addresses of %d that they may have", taken, *limit)
	if ending > 0 {
		said += fmt.Sprintf(", and %d of them are being given back", ending)
	}
	if taken >= *limit {
		conditions.False(s.lb, capstanv1.ServiceVIPsAvailableCondition, capstanv1.ReasonQuotaUsedUp,
			"%s: one that needs another is refused until one comes free, or spec.loadBalancer.maxServiceVIPs is raised", said)
		return
	}
	conditions.True(s.lb, capstanv1.ServiceVIPsAvailableCondition, capstanv1.ReasonAvailable, "%s", said)
}

// maxRefusalMessage bounds what is said of one Service, of which there may be many.
const maxRefusalMessage = 256

func refusedServices(refused []lbplan.Refusal) []capstanv1.RefusedService {
	var services []capstanv1.RefusedService
	for _, r := range refused {
		if r.IsNode {
			continue
		}
		why := r.Why
		if len(why) > maxRefusalMessage {
			why = strings.ToValidUTF8(why[:maxRefusalMessage-3], "") + "..."
		}
		services = append(services, capstanv1.RefusedService{Name: r.Name, Message: why})
	}
	slices.SortFunc(services, func(a, b capstanv1.RefusedService) int { return strings.Compare(a.Name, b.Name) })
	return services
}

// vipsOf are the virtual addresses, the API server's first.
func vipsOf(s *scope) []string {
	api := s.vip.address.Addr().String()
	if known := s.lb.Status.VIPs; !s.planned && len(known) > 0 && known[0] == api {
		return known
	}
	var more []string
	for _, vip := range s.serviceVIPs {
		if vip.claim.DeletionTimestamp.IsZero() && vip.address != "" {
			more = append(more, vip.address)
		}
	}
	slices.Sort(more)
	return append([]string{api}, more...)
}
