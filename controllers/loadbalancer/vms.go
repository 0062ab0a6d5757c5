package loadbalancer

import (
	"cmp"
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

// reconcileVMs makes VMs that are missing and deletes those that are too many or
// can never work again.
func (r *Reconciler) reconcileVMs(ctx context.Context, s *scope) error {
	var err error
	if s.vms, err = r.vmsOf(ctx, r.Client, s.lb); err != nil {
		return err
	}
	lost, err := r.lostHosts(ctx)
	if err != nil {
		return err
	}
	wanted := int(ptr.Deref(s.lb.Spec.Replicas, 2))
	if len(s.vms) == wanted && !slices.ContainsFunc(s.vms, func(vm capstanv1.VirtualMachine) bool { return isDead(&vm, lost) }) {
		return nil
	}
	// Before anything is made or deleted, what is there is read past the cache: one
	// VM that it has not seen yet would be made twice.
	if s.vms, err = r.vmsOf(ctx, r.Live, s.lb); err != nil {
		return err
	}
	for i := range s.vms {
		if isDead(&s.vms[i], lost) {
			if err := r.deleteVM(ctx, &s.vms[i]); err != nil {
				return err
			}
		}
	}
	for len(s.vms) < wanted {
		vm := &capstanv1.VirtualMachine{}
		if err := r.applier.Object(ctx, s.lb, virtualMachine(s.lb, r.freeName(s)), vm); err != nil {
			return err
		}
		s.vms = append(s.vms, *vm)
	}
	// Those that go already go first, so that they are counted and not deleted too.
	for _, vm := range r.expendable(s)[:len(s.vms)-wanted] {
		if err := r.deleteVM(ctx, vm); err != nil {
			return err
		}
	}
	return nil
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

// expendable returns the VMs in the order in which they are given up: those that
// go anyway, those that carry nothing, the silent, the standbys, and the active
// one last. Of equals, the youngest goes first.
func (r *Reconciler) expendable(s *scope) []*capstanv1.VirtualMachine {
	rank := map[string]int{}
	order := make([]*capstanv1.VirtualMachine, len(s.vms))
	for i := range s.vms {
		order[i] = &s.vms[i]
		rank[order[i].Name] = r.worth(s.lb, order[i])
	}
	slices.SortStableFunc(order, func(a, b *capstanv1.VirtualMachine) int {
		return cmp.Or(cmp.Compare(rank[a.Name], rank[b.Name]), b.CreationTimestamp.Compare(a.CreationTimestamp.Time))
	})
	return order
}

// worth goes by what the agent says, or else by what the status remembers: a
// manager that has just started has heard nobody yet.
func (r *Reconciler) worth(lb *capstanv1.LoadBalancer, vm *capstanv1.VirtualMachine) int {
	role, generation := "", int64(0)
	if was := instanceStatus(lb, vm.Name); was != nil {
		role, generation = was.Role, was.AppliedGeneration
	}
	if status := r.agents.of(client.ObjectKeyFromObject(lb), vm).observed(); status != nil {
		role, generation = roleOf(status), status.Generation
	}
	switch {
	case !vm.DeletionTimestamp.IsZero():
		return 0
	case generation == 0:
		return 1
	case role == roleUnknown:
		return 2
	case role == roleStandby:
		return 3
	default:
		return 4
	}
}

func (r *Reconciler) freeName(s *scope) string {
	for {
		name := s.lb.Name + "-lb-" + r.Random(suffixLength)
		if !slices.ContainsFunc(s.vms, func(vm capstanv1.VirtualMachine) bool { return vm.Name == name }) {
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
			GuestSettings:   lb.Spec.GuestSettings,
		},
	}
}
