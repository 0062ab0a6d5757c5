package workloadcluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// reconcileProtection labels the namespace as long as a protected cluster is in it,
// so that admission is asked before it is deleted.
func (r *Reconciler) reconcileProtection(ctx context.Context, s *scope) error {
	namespace := newNamespace()
	switch err := r.Client.Get(ctx, client.ObjectKey{Name: s.wlc.Namespace}, namespace); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading Namespace %s: %w", s.wlc.Namespace, err)
	}
	wanted := isProtected(s.wlc)
	_, has := namespace.Labels[capstanv1.DeletionProtectedLabel]
	if has && !wanted {
		list := &capstanv1.WorkloadClusterList{}
		if err := r.Client.List(ctx, list, client.InNamespace(s.wlc.Namespace)); err != nil {
			return fmt.Errorf("listing WorkloadClusters: %w", err)
		}
		for i := range list.Items {
			wanted = wanted || list.Items[i].UID != s.wlc.UID && isProtected(&list.Items[i])
		}
	}
	if has == wanted {
		return nil
	}
	before := namespace.DeepCopy()
	delete(namespace.Labels, capstanv1.DeletionProtectedLabel)
	if wanted {
		metav1.SetMetaDataLabel(&namespace.ObjectMeta, capstanv1.DeletionProtectedLabel, "true")
	}
	if err := r.Client.Patch(ctx, namespace, client.MergeFrom(before), client.FieldOwner(capstanv1.FieldOwner)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("labelling Namespace %s: %w", namespace.Name, err)
	}
	return nil
}

// newNamespace is all that is read of a Namespace.
func newNamespace() *metav1.PartialObjectMetadata {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return namespace
}

func isProtected(wlc *capstanv1.WorkloadCluster) bool {
	return wlc.Spec.DeletionProtection && wlc.DeletionTimestamp.IsZero()
}

// protectedIn are the protected clusters of a namespace.
func (r *Reconciler) protectedIn(ctx context.Context, namespace client.Object) []reconcile.Request {
	list := &capstanv1.WorkloadClusterList{}
	if err := r.Client.List(ctx, list, client.InNamespace(namespace.GetName())); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if isProtected(&list.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}

// protectionRemoved lets through that somebody took the label away.
func protectionRemoved() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			_, had := e.ObjectOld.GetLabels()[capstanv1.DeletionProtectedLabel]
			_, has := e.ObjectNew.GetLabels()[capstanv1.DeletionProtectedLabel]
			return had && !has
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}
