package loadbalancer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
)

// suffixLength is the length of the random end of a VM's name.
const suffixLength = 5

// reconcileVMs makes VMs that are missing, and deletes those that are too many or
// that must be replaced.
func (r *Reconciler) reconcileVMs(ctx context.Context, s *scope) error {
	hosts := &capstanv1.HyperVHostList{}
	if err := r.Client.List(ctx, hosts); err != nil {
		return fmt.Errorf("listing HyperVHosts: %w", err)
	}
	s.hosts = hosts.Items
	next, err := r.nextStep(ctx, s, r.Client)
	if err == nil {
		err = r.presume(ctx, s)
	}
	if err != nil || next.isNothing() {
		return err
	}
	// Before anything is made or deleted, what is there is read past the cache: one
	// VM that it has not seen yet would be made twice.
	if next, err = r.nextStep(ctx, s, r.Live); err != nil {
		return err
	}
	for range next.missing {
		vm := &capstanv1.VirtualMachine{}
		wanted := virtualMachine(s.lb, r.freeName(s))
		wanted.Spec.AvoidHosts = next.avoid
		if next.successorOf != "" {
			wanted.Annotations = map[string]string{capstanv1.SuccessorOfAnnotation: next.successorOf}
		}
		if err := r.applier.Object(ctx, s.lb, wanted, vm); err != nil {
			return err
		}
		s.made = append(s.made, *vm)
	}
	if next.replaced != nil {
		if err := r.replace(ctx, s, next.replaced); err != nil {
			return err
		}
	}
	if next.rolled != nil {
		if err := r.roll(ctx, s, next.rolled); err != nil {
			return err
		}
	}
	// Those that go already go first, so that they are counted and not deleted too.
	for _, c := range expendable(s.candidates)[:next.surplus] {
		if err := r.dismiss(ctx, s, c); err != nil {
			return err
		}
	}
	s.vms = append(s.vms, s.made...)
	return nil
}

// nextStep reads the VMs and works out what to do about their number.
func (r *Reconciler) nextStep(ctx context.Context, s *scope, reader client.Reader) (step, error) {
	var err error
	if s.vms, err = r.vmsOf(ctx, reader, s.lb); err != nil {
		return step{}, err
	}
	s.candidates = r.candidates(s)
	wanted := int(ptr.Deref(s.lb.Spec.Replicas, 2))
	if s.heldBack = s.holdsBack(s.candidates); s.heldBack {
		wanted = 0
	}
	return decide(s.candidates, wanted), nil
}

// vmsOf returns the VMs of the load balancer in the order of their names.
func (r *Reconciler) vmsOf(ctx context.Context, reader client.Reader, lb *capstanv1.LoadBalancer) ([]capstanv1.VirtualMachine, error) {
	list := &capstanv1.VirtualMachineList{}
	if err := reader.List(ctx, list, client.InNamespace(lb.Namespace), client.MatchingLabels{capstanv1.LoadBalancerLabel: lb.Name}); err != nil {
		return nil, fmt.Errorf("listing the VirtualMachines of LoadBalancer %s: %w", lb.Name, err)
	}
	vms := slices.DeleteFunc(list.Items, func(vm capstanv1.VirtualMachine) bool { return !apply.OwnedBy(&vm, lb.UID) })
	slices.SortFunc(vms, func(a, b capstanv1.VirtualMachine) int { return strings.Compare(a.Name, b.Name) })
	return vms, nil
}

func (r *Reconciler) deleteVM(ctx context.Context, vm *capstanv1.VirtualMachine) error {
	if !vm.DeletionTimestamp.IsZero() {
		return nil
	}
	uid := vm.UID
	if err := r.Client.Delete(ctx, vm, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting VirtualMachine %s: %w", vm.Name, err)
	}
	vm.DeletionTimestamp = ptr.To(metav1.NewTime(r.Clock.Now()))
	return nil
}

func (r *Reconciler) freeName(s *scope) string {
	for {
		name := s.lb.Name + "-lb-" + r.Random(suffixLength)
		taken := func(vm capstanv1.VirtualMachine) bool { return vm.Name == name }
		if !slices.ContainsFunc(s.vms, taken) && !slices.ContainsFunc(s.made, taken) {
			return name
		}
	}
}

func virtualMachine(lb *capstanv1.LoadBalancer, name string) *capstanv1.VirtualMachine {
	labels := map[string]string{
		clusterv1.ClusterNameLabel:  lb.Spec.ClusterName,
		capstanv1.LoadBalancerLabel: lb.Name,
		capstanv1.RoleLabel:         strings.ToLower(string(capstanv1.RoleLoadBalancer)),
	}
	if workload := lb.Labels[capstanv1.WorkloadClusterLabel]; workload != "" {
		labels[capstanv1.WorkloadClusterLabel] = workload
	}
	return &capstanv1.VirtualMachine{
		TypeMeta: metav1.TypeMeta{APIVersion: capstanv1.GroupVersion.String(), Kind: "VirtualMachine"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: lb.Namespace, Name: name, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(lb, capstanv1.GroupVersion.WithKind("LoadBalancer"))},
		},
		Spec: capstanv1.VirtualMachineSpec{
			ClusterName:     lb.Spec.ClusterName,
			Role:            capstanv1.RoleLoadBalancer,
			Group:           fmt.Sprintf("%s/%s/load-balancer", lb.Namespace, lb.Name),
			OS:              capstanv1.OSLinux,
			Size:            lb.Spec.Size,
			Image:           lb.Spec.Image,
			Networks:        []capstanv1.VMNetwork{{LogicalNetwork: lb.Spec.LogicalNetwork}},
			BootstrapSecret: bootstrapSecretName(name),
			PlacementRules:  lb.Spec.Placement,
			GuestSettings:   lb.Spec.GuestSettings,
		},
	}
}
