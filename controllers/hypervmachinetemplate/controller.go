// Package hypervmachinetemplate tells in the status of HyperVMachineTemplates what
// a machine made from them would be, so that a cluster autoscaler can judge a pool
// that has no node to look at. It serves NodePools and plain Cluster API users
// alike, and makes nothing.
package hypervmachinetemplate

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/translate"
)

// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervmachinetemplates,verbs=get;list;watch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervmachinetemplates/status,verbs=get;update;patch

// Reconciler reconciles HyperVMachineTemplates.
type Reconciler struct {
	Client client.Client
}

// SetupWithManager adds the controller to a manager. A template never changes, so
// it is looked at when it is made and when somebody else wrote its status.
func (r *Reconciler) SetupWithManager(_ context.Context, mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("hypervmachinetemplate").
		For(&infrav1.HyperVMachineTemplate{}, builder.WithPredicates(predicate.NewPredicateFuncs(isUntold))).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

// Reconcile writes what a machine made from one template would be.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	template := &infrav1.HyperVMachineTemplate{}
	if err := r.Client.Get(ctx, req.NamespacedName, template); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !isUntold(template) {
		return ctrl.Result{}, nil
	}
	before := template.DeepCopy()
	template.Status = statusOf(&template.Spec.Template.Spec)
	if err := r.Client.Status().Patch(ctx, template, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("writing the status of HyperVMachineTemplate %s: %w", req, err)
	}
	return ctrl.Result{}, nil
}

func isUntold(obj client.Object) bool {
	template, ok := obj.(*infrav1.HyperVMachineTemplate)
	return ok && template.DeletionTimestamp.IsZero() &&
		!equality.Semantic.DeepEqual(template.Status, statusOf(&template.Spec.Template.Spec))
}

// statusOf is what a machine would be. What the node keeps for itself is not taken
// off: the autoscaler knows how much that is no better than we do.
func statusOf(machine *infrav1.HyperVMachineSpec) infrav1.HyperVMachineTemplateStatus {
	return infrav1.HyperVMachineTemplateStatus{
		Capacity: corev1.ResourceList{
			corev1.ResourceCPU:              *resource.NewQuantity(int64(machine.Size.CPUs), resource.DecimalSI),
			corev1.ResourceMemory:           machine.Size.Memory,
			corev1.ResourceEphemeralStorage: machine.Size.BootDisk,
		},
		NodeInfo: infrav1.NodeInfo{Architecture: translate.Architecture, OperatingSystem: strings.ToLower(string(machine.OS))},
	}
}
