package hypervmachine

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// hurdleAmong says what keeps the machine from being replaced in its team, as a reader
// knows it, or nil.
func (r *Reconciler) hurdleAmong(ctx context.Context, reader client.Reader, s *scope, site *site) (*hurdle, error) {
	t, selector, err := r.teamOf(ctx, s.machine)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return &hurdle{forGood: true, message: fmt.Sprintf("no MachineSet and no control plane of kubeadm's owns Machine %s, so nobody would make another one: make one, and delete this", s.machine.Name)}, nil
	}
	if err := r.addMembers(ctx, reader, t, s, site, selector); err != nil {
		return nil, err
	}
	return t.hurdleOf(s.machine.Name), nil
}

// teamOf returns the team of a machine without its members, and the labels by which they
// are known; or nil if nobody makes another machine in its place.
func (r *Reconciler) teamOf(ctx context.Context, machine *clusterv1.Machine) (*team, client.MatchingLabels, error) {
	owner := metav1.GetControllerOf(machine)
	selector := client.MatchingLabels{clusterv1.ClusterNameLabel: machine.Spec.ClusterName}
	switch {
	case owner == nil:
		return nil, nil, nil
	case util.IsControlPlaneMachine(machine) && owner.Kind == "KubeadmControlPlane":
		kcp := &controlplanev1.KubeadmControlPlane{}
		if err := r.get(ctx, machine.Namespace, owner.Name, kcp); err != nil {
			return nil, nil, err
		}
		selector[clusterv1.MachineControlPlaneLabel] = machine.Labels[clusterv1.MachineControlPlaneLabel]
		return &team{replicas: int(ptr.Deref(kcp.Spec.Replicas, 1)), quorum: true}, selector, nil
	case owner.Kind != "MachineSet":
		return nil, nil, nil
	}
	if name := machine.Labels[clusterv1.MachineDeploymentNameLabel]; name != "" {
		deployment := &clusterv1.MachineDeployment{}
		if err := r.get(ctx, machine.Namespace, name, deployment); err != nil {
			return nil, nil, err
		}
		selector[clusterv1.MachineDeploymentNameLabel] = name
		replicas := int(ptr.Deref(deployment.Spec.Replicas, 1))
		return &team{replicas: replicas, unavailable: mayBeMissing(deployment, replicas)}, selector, nil
	}
	set := &clusterv1.MachineSet{}
	if err := r.get(ctx, machine.Namespace, owner.Name, set); err != nil {
		return nil, nil, err
	}
	selector[clusterv1.MachineSetNameLabel] = machine.Labels[clusterv1.MachineSetNameLabel]
	return &team{replicas: int(ptr.Deref(set.Spec.Replicas, 1))}, selector, nil
}

func (r *Reconciler) get(ctx context.Context, namespace, name string, obj client.Object) error {
	if err := r.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, obj); err != nil {
		return fmt.Errorf("reading the %T %s of a Machine: %w", obj, name, err)
	}
	return nil
}

// mayBeMissing is how many machines of a pool its roll-out may take away before there
// are others.
func mayBeMissing(deployment *clusterv1.MachineDeployment, replicas int) int {
	limit := deployment.Spec.Rollout.Strategy.RollingUpdate.MaxUnavailable
	if limit == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(limit, replicas, false)
	if err != nil {
		return 0
	}
	return n
}

func (r *Reconciler) addMembers(ctx context.Context, reader client.Reader, t *team, s *scope, site *site, selector client.MatchingLabels) error {
	machines := &clusterv1.MachineList{}
	if err := reader.List(ctx, machines, client.InNamespace(s.machine.Namespace), selector); err != nil {
		return fmt.Errorf("listing Machines: %w", err)
	}
	vms := &capstanv1.VirtualMachineList{}
	if err := r.Client.List(ctx, vms, client.InNamespace(s.machine.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: s.machine.Spec.ClusterName}); err != nil {
		return fmt.Errorf("listing VirtualMachines: %w", err)
	}
	byName := make(map[string]*capstanv1.VirtualMachine, len(vms.Items))
	for i := range vms.Items {
		byName[vms.Items[i].Name] = &vms.Items[i]
	}
	for i := range machines.Items {
		m := &machines.Items[i]
		asked, judged := annotations.HasRemediateMachine(m), m.Name == s.machine.Name
		t.members = append(t.members, member{
			name: m.Name, created: m.CreationTimestamp.Time,
			ready:  conditions.IsTrue(m, clusterv1.MachineAvailableCondition),
			down:   meta.IsStatusConditionFalse(m.Status.Conditions, clusterv1.MachineReadyCondition),
			goes:   !m.DeletionTimestamp.IsZero() || asked && !judged,
			asked:  asked && judged,
			wanted: site.wishFor(m, byName[m.Spec.InfrastructureRef.Name]) != nil,
		})
	}
	return nil
}
