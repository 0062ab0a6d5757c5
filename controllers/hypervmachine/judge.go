package hypervmachine

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// repair is how it stands with the replacement of a machine that has a cause for it.
type repair struct {
	// reason and status are those of Ready.
	reason string
	status metav1.ConditionStatus
	// message is told with what the VirtualMachine tells.
	message string
	// due is when it is to be replaced if nothing changes, zero if it is to be now.
	due time.Time
}

// membership counts the machines of a control plane that have become nodes, and so
// members of etcd, and those of them that have a VM which stays and that may be reckoned with.
type membership struct{ all, left int }

// membersLeft counts for a control-plane machine, and is nothing for a worker.
func (r *Reconciler) membersLeft(ctx context.Context, e *evidence) (membership, error) {
	if !util.IsControlPlaneMachine(e.machine) {
		return membership{}, nil
	}
	vms := &capstanv1.VirtualMachineList{}
	if err := r.Client.List(ctx, vms, client.InNamespace(e.machine.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: e.cluster.Name}); err != nil {
		return membership{}, fmt.Errorf("listing the VirtualMachines of Cluster %s: %w", client.ObjectKeyFromObject(e.cluster), err)
	}
	byName := map[string]*capstanv1.VirtualMachine{}
	for i := range vms.Items {
		byName[vms.Items[i].Name] = &vms.Items[i]
	}
	machines, err := r.controlPlaneOf(ctx, e)
	if err != nil {
		return membership{}, err
	}
	var members membership
	for i := range machines {
		m := &machines[i]
		vm := byName[m.Spec.InfrastructureRef.Name]
		goes := vm == nil || !vm.DeletionTimestamp.IsZero()
		if !m.Status.NodeRef.IsDefined() || goes && !m.DeletionTimestamp.IsZero() {
			// Cluster API takes a member out of etcd before its VM may go.
			continue
		}
		members.all++
		if !goes && e.stays(m, vm) {
			members.left++
		}
	}
	return members, nil
}

// stays tells whether a member may be reckoned with: nothing is wrong with it, or it works
// until its own turn comes.
func (e *evidence) stays(m *clusterv1.Machine, vm *capstanv1.VirtualMachine) bool {
	c := causeOf(e.of(m, vm))
	return c == nil || c.lingers && m.Name != e.machine.Name && isServing(m)
}

// of is what is known of another machine of the cluster.
func (e *evidence) of(machine *clusterv1.Machine, vm *capstanv1.VirtualMachine) *evidence {
	other := *e
	other.machine, other.vm, other.fault = machine, vm, nil
	return &other
}

// unspoken is for a machine of which its VM says that nobody has it, and whose host no
// HyperVHost speaks for any more; and nil for others. That a host is not lost after all,
// the VM tells in a moment.
func unspoken(vm *capstanv1.VirtualMachine, hosts []capstanv1.HyperVHost) *repair {
	place := vm.Place()
	if ready := conditions.Get(vm, capstanv1.ReadyCondition); ready == nil || ready.Reason != capstanv1.ReasonHostLost ||
		slices.ContainsFunc(hosts, func(h capstanv1.HyperVHost) bool { return h.SpeaksFor(place.FailoverCluster, place.Host) }) {
		return nil
	}
	name := "host " + place.Host
	if place.FailoverCluster != "" {
		name = "failover cluster " + place.FailoverCluster
	}
	return &repair{
		reason: capstanv1.ReasonHostLost, status: metav1.ConditionUnknown,
		message: fmt.Sprintf("no HyperVHost speaks for %s, so it cannot be told that the host is lost: add it again, with spec.lost if it is, or delete the Machine", name),
	}
}

func unwatched(machine *clusterv1.Machine, c *cause) *repair {
	why := fmt.Sprintf("no MachineHealthCheck selects Machine %s, so Cluster API does not replace it: add one, or delete the Machine", machine.Name)
	if annotations.HasSkipRemediation(machine) {
		why = fmt.Sprintf("Cluster API does not replace Machine %s because of its annotation %s: remove that, or delete the Machine",
			machine.Name, clusterv1.MachineSkipRemediationAnnotation)
	}
	return &repair{reason: c.reason, status: c.status, message: c.says(why)}
}

// judge tells what is to be expected of Cluster API. It refuses to take away what an
// etcd without majority may need; while no API server answers, it does not even say so.
func judge(machine *clusterv1.Machine, c *cause, members membership) *repair {
	restore := "restore the cluster from a backup, or " + c.remedy
	cannot := func(format string, args ...any) *repair {
		return &repair{reason: capstanv1.ReasonCannotRepair, status: metav1.ConditionFalse, message: c.says(fmt.Sprintf(format, args...))}
	}
	asked := &repair{reason: c.reason, status: c.status, message: c.says("Cluster API is asked to replace the machine")}
	verdict := conditions.Get(machine, clusterv1.MachineOwnerRemediatedCondition)
	told := verdict != nil && verdict.Status == metav1.ConditionFalse && verdict.Message != ""
	switch {
	case members.all == 1 && members.left == 0:
		return cannot("the machine is the only member of its control plane, and etcd's data is on it alone: %s", restore)
	case members.left < members.all/2+1 && members.all > 0:
		return cannot("%d of %d members of etcd are left, which is no majority: %s", members.left, members.all, restore)
	case told && members.all > 0 && verdict.Reason == controlplanev1.KubeadmControlPlaneMachineCannotBeRemediatedReason:
		return cannot("Cluster API refuses to replace the machine (%s), and tries again; if that does not pass, %s", verdict.Message, restore)
	}
	if told {
		asked.message += ": " + verdict.Message
	}
	return asked
}
