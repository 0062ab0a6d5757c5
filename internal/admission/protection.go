package admission

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// setupProtection guards what would take a protected WorkloadCluster with it. The
// selectors of config/webhook/protection.yaml decide what is asked about.
func setupProtection(mgr ctrl.Manager, live client.Reader) error {
	server := mgr.GetWebhookServer()
	server.Register("/validate-deletion-of-namespace", &admission.Webhook{Handler: &namespaceGuard{live}})
	server.Register("/validate-deletion-of-cluster", &admission.Webhook{Handler: &standInGuard{live}})
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

// namespaceGuard keeps the namespaces of protected WorkloadClusters: all that is in
// a namespace that goes is deleted at once, secrets and machines included.
type namespaceGuard struct{ live client.Reader }

// Handle refuses the deletion of a namespace with a protected WorkloadCluster.
func (g *namespaceGuard) Handle(ctx context.Context, req admission.Request) admission.Response {
	list := &capstanv1.WorkloadClusterList{}
	if err := g.live.List(ctx, list, client.InNamespace(req.Name)); err != nil {
		return admission.Errored(http.StatusInternalServerError, fmt.Errorf("listing the WorkloadClusters of namespace %s: %w", req.Name, err))
	}
	var names []string
	for i := range list.Items {
		if isProtected(&list.Items[i]) {
			names = append(names, list.Items[i].Name)
		}
	}
	if len(names) > 0 {
		return admission.Denied(fmt.Sprintf("WorkloadCluster %s in it is protected from deletion: %s", strings.Join(names, ", "), howToUnprotect))
	}
	return admission.Allowed("")
}
