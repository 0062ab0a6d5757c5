package workloadcluster

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// networkPluginWaits returns why the network plugin is not ready, or nothing if it is,
// or if it is not installed by Capstan.
func networkPluginWaits(wlc *capstanv1.WorkloadCluster) (reason, message string) {
	if !wlc.Spec.Addons.CNI.Installs() {
		return "", ""
	}
	for i := range wlc.Status.Addons {
		if wlc.Status.Addons[i].Name != capstanv1.CNIAddon {
			continue
		}
		ready := meta.FindStatusCondition(wlc.Status.Addons[i].Conditions, capstanv1.ReadyCondition)
		switch {
		case ready == nil || ready.ObservedGeneration < wlc.Generation:
		case ready.Status == metav1.ConditionTrue:
			return "", ""
		default:
			return ready.Reason, ready.Message
		}
	}
	return capstanv1.ReasonWaitingForAddons, "not looked at yet"
}
