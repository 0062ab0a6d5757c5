package workloadcluster

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// controlPlaneProgress tells how far the control plane is, such as "control plane
// 2/3 at v1.36.4", and once there are enough machines how many there are too many.
func controlPlaneProgress(kcp *controlplanev1.KubeadmControlPlane, machines []clusterv1.Machine) string {
	done, wanted := countDone(machines, kcp.Spec.Version, isControlPlane), int(ptr.Deref(kcp.Spec.Replicas, 0))
	message := fmt.Sprintf("control plane %d/%d at %s", min(done, wanted), wanted, kcp.Spec.Version)
	all := 0
	for i := range machines {
		if isControlPlane(&machines[i]) {
			all++
		}
	}
	if done >= wanted && all > wanted {
		message += fmt.Sprintf(", %d to be removed", all-wanted)
	}
	return message
}

// poolProgress tells how far a pool is, such as "2/4 at v1.36.4", and what it waits
// for: in the pool's own words if it has any, else what its first machine that is not ready does.
func poolProgress(pool *capstanv1.NodePool, machines []clusterv1.Machine, infra []infrav1.HyperVMachine) string {
	done := countDone(machines, pool.Status.Version, func(m *clusterv1.Machine) bool {
		return m.Labels[capstanv1.NodePoolLabel] == pool.Name
	})
	message := fmt.Sprintf("%d/%d at %s", done, pool.WantedReplicas(), pool.Status.Version)
	if c := conditions.Get(pool, capstanv1.ReadyCondition); c != nil {
		// Up to there it counts, which was just done.
		if _, why, _ := strings.Cut(c.Message, "; "); why != "" {
			return message + "; " + why
		}
	}
	for i := range infra {
		if infra[i].Labels[capstanv1.NodePoolLabel] == pool.Name && isWaiting(&infra[i]) {
			return message + "; " + tellWait(&infra[i])
		}
	}
	return message
}

// countDone counts the machines that are as they shall be and of use.
func countDone(machines []clusterv1.Machine, version string, counts func(*clusterv1.Machine) bool) int {
	done := 0
	for i := range machines {
		m := &machines[i]
		if counts(m) && m.DeletionTimestamp.IsZero() && m.Spec.Version == version &&
			meta.IsStatusConditionTrue(m.Status.Conditions, clusterv1.MachineReadyCondition) &&
			!meta.IsStatusConditionFalse(m.Status.Conditions, clusterv1.MachineUpToDateCondition) {
			done++
		}
	}
	return done
}

// unrepaired returns a control-plane machine that is not replaced though it must be, or
// nil. One that Cluster API cannot replace comes before one whose repair is held: nobody
// but a person can help it.
func unrepaired(s *scope) *infrav1.HyperVMachine {
	var held *infrav1.HyperVMachine
	for i := range s.infraMachines {
		m := &s.infraMachines[i]
		ready := conditions.Get(m, capstanv1.ReadyCondition)
		if _, is := m.Labels[clusterv1.MachineControlPlaneLabel]; !is || ready == nil {
			continue
		}
		switch {
		case ready.Reason == capstanv1.ReasonCannotRepair:
			return m
		case ready.Reason == capstanv1.ReasonRepairHeld && held == nil:
			held = m
		}
	}
	return held
}

func isWaiting(m *infrav1.HyperVMachine) bool {
	ready := conditions.Get(m, capstanv1.ReadyCondition)
	return ready != nil && ready.Status != "True"
}

func tellWait(m *infrav1.HyperVMachine) string {
	return m.Name + ": " + conditions.Get(m, capstanv1.ReadyCondition).Message
}

// whoWaits names the pools that a roll-out has not come to, such as "shop-linux
// waits". A pool that is held at a version of its own does not wait, nor does one
// without nodes yet.
func whoWaits(pools []capstanv1.NodePool, version string) string {
	var names []string
	for i := range pools {
		if pool := &pools[i]; waitsFor(pool, version) {
			names = append(names, pool.Name)
		}
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0] + " waits"
	default:
		return strings.Join(names, ", ") + " wait"
	}
}

func waitsFor(pool *capstanv1.NodePool, version string) bool {
	return pool.Spec.Version == "" && pool.Status.Version != "" && pool.Status.Version != version
}
