package hypervmachine

import (
	"context"
	"fmt"

	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/conditions"
)

// othersFirst says which members of a control plane must be well again, or gone, before
// one that still works is replaced, or nothing. KubeadmControlPlane takes a member that it
// is asked to replace before one that it finds dead itself. Where etcd would have no
// majority without both it refuses that, and does not turn to the dead one.
func (r *Reconciler) othersFirst(ctx context.Context, e *evidence, c *cause) (string, error) {
	if !c.lingers || !util.IsControlPlaneMachine(e.machine) || !isServing(e.machine) {
		return "", nil
	}
	members, err := r.controlPlaneOf(ctx, e)
	if err != nil {
		return "", err
	}
	return firstOf(e.machine, members), nil
}

// firstOf judges as KubeadmControlPlane does: by what is left of etcd without the machine.
func firstOf(machine *clusterv1.Machine, members []clusterv1.Machine) string {
	var ailing []string
	others := 0
	for i := range members {
		m := &members[i]
		if m.Name == machine.Name || !m.Status.NodeRef.IsDefined() {
			continue
		}
		others++
		if !conditions.IsTrue(m, controlplanev1.KubeadmControlPlaneMachineEtcdMemberHealthyCondition) {
			ailing = append(ailing, m.Name)
		}
	}
	if len(ailing) == 0 || others-len(ailing) >= others/2+1 {
		return ""
	}
	return fmt.Sprintf("it works still, and without it %d of %d members of etcd would, which is no majority: Cluster API is asked to replace it once %s is well again or replaced",
		others-len(ailing), others, listed(ailing))
}

// isServing tells whether a member of a control plane is known to do its work.
func isServing(machine *clusterv1.Machine) bool {
	return !isAtRisk(machine) && conditions.IsTrue(machine, controlplanev1.KubeadmControlPlaneMachineEtcdMemberHealthyCondition)
}

// controlPlaneOf lists the members of the control plane of a machine's cluster.
func (r *Reconciler) controlPlaneOf(ctx context.Context, e *evidence) ([]clusterv1.Machine, error) {
	machines := &clusterv1.MachineList{}
	if err := r.Client.List(ctx, machines, client.InNamespace(e.machine.Namespace),
		client.MatchingLabels{clusterv1.ClusterNameLabel: e.cluster.Name}, client.HasLabels{clusterv1.MachineControlPlaneLabel}); err != nil {
		return nil, fmt.Errorf("listing the control plane of Cluster %s: %w", client.ObjectKeyFromObject(e.cluster), err)
	}
	return machines.Items, nil
}
