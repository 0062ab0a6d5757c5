package admission

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// setupProtection guards what would take a protected WorkloadCluster with it. The
// selectors of config/webhook/protection.yaml decide what is asked about. Its
// namespace the API server keeps by itself, by config/webhook/namespaces.yaml.
func setupProtection(mgr ctrl.Manager, live client.Reader) error {
	mgr.GetWebhookServer().Register("/validate-deletion-of-cluster", &admission.Webhook{Handler: &standInGuard{live}})
	return nil
}

const howToUnprotect = "set spec.deletionProtection to false first"

// refuseProtected refuses the deletion of a WorkloadCluster that is protected.
func refuseProtected(wlc *capstanv1.WorkloadCluster) error {
	if !isProtected(wlc) {
		return nil
	}
	return apierrors.NewForbidden(schema.GroupResource{Group: capstanv1.GroupVersion.Group, Resource: "workloadclusters"}, wlc.Name,
		errors.New("it is protected from deletion: "+howToUnprotect))
}

// isProtected tells whether a WorkloadCluster must be kept. One that goes already,
// goes.
func isProtected(wlc *capstanv1.WorkloadCluster) bool {
	return wlc.Spec.DeletionProtection && wlc.DeletionTimestamp.IsZero()
}
