package hypervmachine

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/annotations"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// whoWaitFor are the machines of a Machine's cluster that wait for their turn to be
// replaced, or lose it to that Machine.
func (r *Reconciler) whoWaitFor(ctx context.Context, obj client.Object) []reconcile.Request {
	list := &infrav1.HyperVMachineList{}
	if err := r.Client.List(ctx, list, client.InNamespace(obj.GetNamespace()),
		client.MatchingLabels{clusterv1.ClusterNameLabel: obj.GetLabels()[clusterv1.ClusterNameLabel]}, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the HyperVMachines that wait for a Machine", "Machine", client.ObjectKeyFromObject(obj))
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if mindsOthers(&list.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}

// mindsOthers tells whether it depends on others of its cluster what becomes of a machine.
func mindsOthers(m *infrav1.HyperVMachine) bool {
	c := conditions.Get(m, capstanv1.ReplacingCondition)
	return c != nil && (c.Reason == capstanv1.ReasonWaitingForTurn || c.Status == metav1.ConditionTrue) ||
		m.Status.Fault != nil && m.Status.Fault.Reason == capstanv1.ReasonVolumeFault
}

// turnChanged leaves out what changes nobody's turn.
func turnChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			was, ok := e.ObjectOld.(*clusterv1.Machine)
			if !ok {
				return true
			}
			is, ok := e.ObjectNew.(*clusterv1.Machine)
			return !ok || differ(was, is, clusterv1.MachineAvailableCondition) || differ(was, is, controlplanev1.KubeadmControlPlaneMachineEtcdMemberHealthyCondition) ||
				annotations.HasRemediateMachine(was) != annotations.HasRemediateMachine(is)
		},
	}
}

func differ(was, is *clusterv1.Machine, conditionType string) bool {
	return conditions.IsTrue(was, conditionType) != conditions.IsTrue(is, conditionType)
}
