package capi

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controlplane/kubeadm/reconcilers/kubeadmcontrolplane"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// remediationEnd ends remediations of control planes of which nothing is left to be done.
// Upstream notes on a control plane that a member is taken out, takes no other one out as
// long as the note is there, and drops it when it makes the successor. It makes none where
// those that stay are enough: the member was the last that a roll-out had to replace, whose
// successor had come before it went, or the control plane was made smaller meanwhile. Then
// the note would stay for good, and no member be repaired any more.
type remediationEnd struct {
	client client.Client
	// live reads past the cache, in which a member may be there that has gone, and one
	// that has come may be missing.
	live client.Reader
}

func (r *remediationEnd) setup(mgr ctrl.Manager, options controller.Options) error {
	noted := predicate.NewPredicateFuncs(func(object client.Object) bool { return noteOn(object) != "" })
	gone := predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(event.UpdateEvent) bool { return false },
	}
	return ctrl.NewControllerManagedBy(mgr).Named("remediationend").WithOptions(options).
		For(&controlplanev1.KubeadmControlPlane{}, builder.WithPredicates(noted)).
		Owns(&clusterv1.Machine{}, builder.WithPredicates(gone)).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(controlPlaneOf),
			builder.WithPredicates(predicates.ClusterUpdateUnpaused(mgr.GetScheme(), mgr.GetLogger()))).
		Complete(r)
}

// controlPlaneOf is the control plane of a Cluster, whose pause is over.
func controlPlaneOf(_ context.Context, cluster client.Object) []reconcile.Request {
	c, ok := cluster.(*clusterv1.Cluster)
	if !ok || !c.Spec.ControlPlaneRef.IsDefined() {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: c.Namespace, Name: c.Spec.ControlPlaneRef.Name}}}
}

func noteOn(controlPlane client.Object) string {
	return controlPlane.GetAnnotations()[controlplanev1.RemediationInProgressAnnotation]
}

// Reconcile implements reconcile.Reconciler.
func (r *remediationEnd) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	controlPlane := &controlplanev1.KubeadmControlPlane{}
	if err := r.client.Get(ctx, request.NamespacedName, controlPlane); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	note := noteOn(controlPlane)
	if note == "" || !controlPlane.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	cluster, err := util.GetOwnerCluster(ctx, r.client, controlPlane.ObjectMeta)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return ctrl.Result{}, fmt.Errorf("reading the Cluster of KubeadmControlPlane %s: %w", request, err)
	case cluster == nil || annotations.IsPaused(cluster, controlPlane):
		// Upstream, too, leaves a control plane alone that has no Cluster.
		return ctrl.Result{}, nil
	}
	remediation, err := kubeadmcontrolplane.RemediationDataFromAnnotation(note)
	if err != nil {
		// Upstream says so, too; nothing will come of trying again.
		return ctrl.Result{}, reconcile.TerminalError(err)
	}
	members, err := r.membersOf(ctx, controlPlane)
	if err != nil || !nothingIsLeftOf(remediation, members, int(ptr.Deref(controlPlane.Spec.Replicas, 1))) {
		return ctrl.Result{}, err
	}
	before := controlPlane.DeepCopy()
	delete(controlPlane.Annotations, controlplanev1.RemediationInProgressAnnotation)
	if err := r.client.Patch(ctx, controlPlane, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("ending the remediation of KubeadmControlPlane %s: %w", request, err)
	}
	log.FromContext(ctx).Info("Remediation ended without a successor: there are members enough", "member", remediation.Machine, "members", len(members))
	return ctrl.Result{}, nil
}

func (r *remediationEnd) membersOf(ctx context.Context, controlPlane *controlplanev1.KubeadmControlPlane) ([]clusterv1.Machine, error) {
	machines := &clusterv1.MachineList{}
	if err := r.live.List(ctx, machines, client.InNamespace(controlPlane.Namespace), client.HasLabels{clusterv1.MachineControlPlaneLabel}); err != nil {
		return nil, fmt.Errorf("listing the members of KubeadmControlPlane %s: %w", client.ObjectKeyFromObject(controlPlane), err)
	}
	return slices.DeleteFunc(machines.Items, func(m clusterv1.Machine) bool { return !metav1.IsControlledBy(&m, controlPlane) }), nil
}

// nothingIsLeftOf tells whether the member that was remediated has gone and needs no
// successor. One more that goes may need one.
func nothingIsLeftOf(remediation *kubeadmcontrolplane.RemediationData, members []clusterv1.Machine, wanted int) bool {
	return len(members) >= wanted && !slices.ContainsFunc(members, func(m clusterv1.Machine) bool {
		return m.Name == remediation.Machine || !m.DeletionTimestamp.IsZero()
	})
}
