package hypervmachine

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/outage"
)

// backOnlyNow keeps the hold on a machine whose host answers again, or whose cluster can do
// without those that do not, while its guest still boots or has not been heard of: its node has
// not been ready for as long as its health check waits, and would be replaced at this very
// moment.
func backOnlyNow(e *evidence) *outage.Hold {
	host := hostOf(e)
	if host == nil || e.machine.Annotations[clusterv1.MachineSkipRemediationAnnotation] != capstanv1.ReasonRepairHeld || !isAtRisk(e.machine) {
		return nil
	}
	connected := conditions.Get(host, capstanv1.AgentConnectedCondition)
	if connected == nil || connected.Status != metav1.ConditionTrue {
		return nil
	}
	since, message := connected.LastTransitionTime.Time, fmt.Sprintf("host %s has come back only now", host.Name)
	if e.over.After(since) {
		since, message = e.over, "most hosts and volumes are there again only now"
	}
	until := e.after(since, e.timeouts.Restart())
	if !until.After(e.now) {
		return nil
	}
	return &outage.Hold{Message: message, Until: until}
}

// isAtRisk tells whether Cluster API may find by itself that a machine must be replaced: it
// looks at nodes, which are not ready in an outage whatever is wrong.
func isAtRisk(machine *clusterv1.Machine) bool {
	return !meta.IsStatusConditionTrue(machine.Status.Conditions, clusterv1.MachineNodeReadyCondition)
}
