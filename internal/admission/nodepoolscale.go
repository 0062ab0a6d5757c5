package admission

import (
	"context"
	"encoding/json"
	"net/http"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// +kubebuilder:webhook:path=/validate-capstan-dev-v1alpha1-nodepool-scale,mutating=false,failurePolicy=fail,sideEffects=None,groups=capstan.dev,resources=nodepools/scale,verbs=update,versions=v1alpha1,name=scale.nodepool.capstan.dev,admissionReviewVersions=v1,matchPolicy=Equivalent

// nodePoolScaleValidator looks after what passes the rules of NodePools by: the
// scale subresource is an object of its own.
type nodePoolScaleValidator struct{ live client.Reader }

// Handle refuses a number of nodes that the pool could never have.
func (v *nodePoolScaleValidator) Handle(ctx context.Context, req admission.Request) admission.Response {
	scale := &autoscalingv1.Scale{}
	if err := json.Unmarshal(req.Object.Raw, scale); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	old := &capstanv1.NodePool{}
	if err := v.live.Get(ctx, client.ObjectKey{Namespace: req.Namespace, Name: req.Name}, old); err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	pool := old.DeepCopy()
	pool.Spec.Replicas = &scale.Spec.Replicas
	if !pool.DeletionTimestamp.IsZero() {
		return admission.Allowed("")
	}
	if pool.Spec.Autoscaling != nil {
		return refuse("NodePool", pool.Name, field.ErrorList{field.Forbidden(field.NewPath("spec", "replicas"),
			"the cluster autoscaler chooses the number of nodes: change spec.autoscaling of the NodePool, or remove it to scale by hand")})
	}
	warnings, errs, err := checkAddresses(ctx, v.live, old, pool)
	switch {
	case err != nil:
		return admission.Errored(http.StatusInternalServerError, err)
	case len(errs) > 0:
		return refuse("NodePool", pool.Name, errs)
	}
	return admission.Allowed("").WithWarnings(warnings...)
}

func refuse(kind, name string, errs field.ErrorList) admission.Response {
	status := invalid(kind, name, errs).Status()
	response := admission.Denied("")
	response.Result = &status
	return response
}

func invalid(kind, name string, errs field.ErrorList) *apierrors.StatusError {
	return apierrors.NewInvalid(capstanv1.GroupVersion.WithKind(kind).GroupKind(), name, errs)
}
