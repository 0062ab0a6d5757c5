package loadbalancer

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbplan"
)

// caMissingError is that the CA of a cluster with control-plane machines is not there.
// Whoever made them made it before: a plan that did without would take the API servers
// away from under a cluster that is well.
type caMissingError struct{ key client.ObjectKey }

func (e *caMissingError) Error() string {
	return fmt.Sprintf("Secret %s, which must hold the certificate authority of the cluster as %s, is not there or does not hold it: "+
		"the virtual machines keep the plan that they have until it does", e.key, secret.TLSCrtDataName)
}

// clusterCA returns the CA of the cluster's API servers. As long as no machine has an
// address it is not asked for, and need not be there: a plan with nobody to send anyone
// to would only be numbered, told and recorded to be made anew a moment later.
func (r *Reconciler) clusterCA(ctx context.Context, s *scope) ([]byte, error) {
	if !slices.ContainsFunc(s.members, func(m lbplan.Machine) bool { return m.Address != "" }) {
		return nil, nil
	}
	ca := &corev1.Secret{}
	key := client.ObjectKey{Namespace: s.lb.Namespace, Name: secret.Name(s.lb.Spec.ClusterName, secret.ClusterCA)}
	err := r.Secrets.Get(ctx, key, ca)
	if apierrors.IsNotFound(err) {
		// Whoever brings a CA may have given it no label, and the cache keeps only those
		// with the label of a cluster.
		err = r.Live.Get(ctx, key, ca)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading Secret %s: %w", key, err)
	}
	if len(ca.Data[secret.TLSCrtDataName]) == 0 {
		// No watch tells of one that has no label.
		s.tryAgainIn(lastRetry)
		return nil, &caMissingError{key: key}
	}
	return ca.Data[secret.TLSCrtDataName], nil
}

// machines returns the control-plane Machines of the cluster.
func (r *Reconciler) machines(ctx context.Context, lb *capstanv1.LoadBalancer) ([]clusterv1.Machine, error) {
	list := &clusterv1.MachineList{}
	if err := r.Client.List(ctx, list, client.InNamespace(lb.Namespace),
		client.MatchingLabels{clusterv1.ClusterNameLabel: lb.Spec.ClusterName}, client.HasLabels{clusterv1.MachineControlPlaneLabel}); err != nil {
		return nil, fmt.Errorf("listing the control-plane Machines of Cluster %s: %w", lb.Spec.ClusterName, err)
	}
	return list.Items, nil
}

// findMembers finds the control-plane machines, and what a plan makes of them.
func (r *Reconciler) findMembers(ctx context.Context, s *scope) error {
	var err error
	if s.machines, err = r.machines(ctx, s.lb); err != nil {
		return err
	}
	s.leaving = r.departures.note(client.ObjectKeyFromObject(s.lb), s.machines, s.now)
	s.members = make([]lbplan.Machine, 0, len(s.machines))
	for i := range s.machines {
		member := memberOfMachine(&s.machines[i])
		if member.State == lbplan.Leaving && s.now.Sub(s.leaving[s.machines[i].UID]) >= drainTime {
			member.State = lbplan.Left
		}
		if member.Address == "" {
			if member.Address, err = r.addressOfVM(ctx, &s.machines[i]); err != nil {
				return err
			}
		}
		s.members = append(s.members, member)
	}
	return nil
}

// memberOfMachine is a Machine as a plan sees it.
func memberOfMachine(obj client.Object) lbplan.Machine {
	machine, ok := obj.(*clusterv1.Machine)
	if !ok {
		return lbplan.Machine{}
	}
	member := lbplan.Machine{Name: machine.Name, State: lbplan.Joining}
	switch {
	case !machine.DeletionTimestamp.IsZero():
		member.State = lbplan.Leaving
	case machine.Status.NodeRef.IsDefined() && !isAPIServerDown(machine):
		member.State = lbplan.Ready
	}
	for _, address := range machine.Status.Addresses {
		if address.Type == clusterv1.MachineInternalIP {
			member.Address = address.Address
			break
		}
	}
	return member
}

func isAPIServerDown(machine *clusterv1.Machine) bool {
	c := meta.FindStatusCondition(machine.Status.Conditions, controlplanev1.KubeadmControlPlaneMachineAPIServerPodHealthyCondition)
	return c != nil && c.Status == metav1.ConditionFalse
}

// addressOfVM returns the address of a machine's VM, or "". The VM has it long
// before the Machine tells of it, and the first control-plane machine may need
// the VIP to get that far.
func (r *Reconciler) addressOfVM(ctx context.Context, machine *clusterv1.Machine) (string, error) {
	vm := &capstanv1.VirtualMachine{}
	key := client.ObjectKey{Namespace: machine.Namespace, Name: machine.Spec.InfrastructureRef.Name}
	if err := r.Client.Get(ctx, key, vm); err != nil {
		if apierrors.IsNotFound(err) {
			return "", nil
		}
		return "", fmt.Errorf("reading VirtualMachine %s: %w", key, err)
	}
	if vm.Spec.Role != capstanv1.RoleControlPlane {
		return "", nil
	}
	return firstAddress(vm), nil
}

func firstAddress(obj client.Object) string {
	vm, ok := obj.(*capstanv1.VirtualMachine)
	if !ok || len(vm.Status.Addresses) == 0 {
		return ""
	}
	return vm.Status.Addresses[0]
}
