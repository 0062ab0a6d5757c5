package translate

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// nodeUnhealthyAfter is longer than a failover cluster takes to give up a host
// and restart its VMs, so that a VM that merely moves is not replaced.
const (
	nodeUnhealthyAfter = 10 * 60
	nodeStartupWithin  = 20 * 60
)

// mostRepaired is how much of a pool is replaced at a time because it fails its health
// check, rounded up. Where all nodes are not ready at once, another fault than theirs is
// likelier, and what is left of the pool's work is worth keeping while it is looked for.
// Less would let one machine that cannot go stop the repair of all others.
const mostRepaired = "50%"

// ControlPlaneHealthCheck returns the health check of a WorkloadCluster's
// control-plane machines. It bears the name of the KubeadmControlPlane, which
// replaces what fails the check: one member at a time, and none that etcd's majority
// needs. How often it tries is left to it, since another try takes as long as the
// check itself.
func ControlPlaneHealthCheck(wlc *capstanv1.WorkloadCluster) *clusterv1.MachineHealthCheck {
	mhc := healthCheck(wlc.Name, map[string]string{
		clusterv1.ClusterNameLabel:         wlc.Name,
		clusterv1.MachineControlPlaneLabel: "",
	})
	mhc.ObjectMeta = meta(wlc, ControlPlaneName(wlc.Name), wlc.Name, nil)
	mhc.OwnerReferences = []metav1.OwnerReference{controller(wlc, "WorkloadCluster")}
	return mhc
}

func poolHealthCheck(wlc *capstanv1.WorkloadCluster, pool *capstanv1.NodePool) *clusterv1.MachineHealthCheck {
	mhc := healthCheck(wlc.Name, MachineLabels(pool))
	mhc.ObjectMeta = meta(wlc, pool.Name, wlc.Name, pool)
	mhc.OwnerReferences = []metav1.OwnerReference{controller(pool, "NodePool")}
	return mhc
}

// healthCheck looks at nodes alone: what is known of a VM says nothing of its node
// while its host is silent, and would replace machines that run.
func healthCheck(cluster string, machines map[string]string) *clusterv1.MachineHealthCheck {
	return &clusterv1.MachineHealthCheck{
		TypeMeta: typeMeta(clusterv1.GroupVersion, "MachineHealthCheck"),
		Spec: clusterv1.MachineHealthCheckSpec{
			ClusterName: cluster,
			Selector:    metav1.LabelSelector{MatchLabels: machines},
			Checks: clusterv1.MachineHealthCheckChecks{
				NodeStartupTimeoutSeconds: ptr.To[int32](nodeStartupWithin),
				UnhealthyNodeConditions: []clusterv1.UnhealthyNodeCondition{
					{Type: corev1.NodeReady, Status: corev1.ConditionFalse, TimeoutSeconds: ptr.To[int32](nodeUnhealthyAfter)},
					{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, TimeoutSeconds: ptr.To[int32](nodeUnhealthyAfter)},
				},
			},
		},
	}
}
