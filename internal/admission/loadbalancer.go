package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// +kubebuilder:webhook:path=/validate-capstan-dev-v1alpha1-loadbalancer,mutating=false,failurePolicy=fail,sideEffects=None,groups=capstan.dev,resources=loadbalancers,verbs=update,versions=v1alpha1,name=loadbalancer.capstan.dev,admissionReviewVersions=v1,matchPolicy=Equivalent
// +kubebuilder:webhook:path=/validate-capstan-dev-v1alpha1-loadbalancer-scale,mutating=false,failurePolicy=fail,sideEffects=None,groups=capstan.dev,resources=loadbalancers/scale,verbs=update,versions=v1alpha1,name=scale.loadbalancer.capstan.dev,admissionReviewVersions=v1,matchPolicy=Equivalent

func setupLoadBalancer(mgr ctrl.Manager, live client.Reader) error {
	mgr.GetWebhookServer().Register("/validate-capstan-dev-v1alpha1-loadbalancer-scale", &admission.Webhook{Handler: &loadBalancerScaleValidator{live}})
	return ctrl.NewWebhookManagedBy(mgr, &capstanv1.LoadBalancer{}).
		WithValidator(&loadBalancerValidator{live}).Complete()
}

type loadBalancerValidator struct{ live client.Reader }

// ValidateCreate refuses nothing: the schema says it all.
func (v *loadBalancerValidator) ValidateCreate(context.Context, *capstanv1.LoadBalancer) (admission.Warnings, error) {
	return nil, nil
}

// ValidateUpdate refuses a number of VMs that somebody else chooses.
func (v *loadBalancerValidator) ValidateUpdate(ctx context.Context, old, lb *capstanv1.LoadBalancer) (admission.Warnings, error) {
	if lb.Spec.Replicas == nil || ptr.Equal(old.Spec.Replicas, lb.Spec.Replicas) {
		return nil, nil
	}
	errs, err := checkVMsOfLoadBalancer(ctx, v.live, old, *lb.Spec.Replicas)
	if err != nil || len(errs) == 0 {
		return nil, err
	}
	return nil, invalid("LoadBalancer", lb.Name, errs)
}

// ValidateDelete refuses nothing: protection from deletion is looked after
// elsewhere.
func (v *loadBalancerValidator) ValidateDelete(context.Context, *capstanv1.LoadBalancer) (admission.Warnings, error) {
	return nil, nil
}

// loadBalancerScaleValidator looks after what passes the rules of LoadBalancers by:
// the scale subresource is an object of its own.
type loadBalancerScaleValidator struct{ live client.Reader }

// Handle refuses a number of VMs that somebody else chooses.
func (v *loadBalancerScaleValidator) Handle(ctx context.Context, req admission.Request) admission.Response {
	scale := &autoscalingv1.Scale{}
	if err := json.Unmarshal(req.Object.Raw, scale); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	lb := &capstanv1.LoadBalancer{}
	key := client.ObjectKey{Namespace: req.Namespace, Name: req.Name}
	if err := v.live.Get(ctx, key, lb); err != nil {
		return admission.Errored(http.StatusInternalServerError, fmt.Errorf("reading LoadBalancer %s: %w", key, err))
	}
	switch errs, err := checkVMsOfLoadBalancer(ctx, v.live, lb, scale.Spec.Replicas); {
	case err != nil:
		return admission.Errored(http.StatusInternalServerError, err)
	case len(errs) > 0:
		return refuse("LoadBalancer", lb.Name, errs)
	}
	return admission.Allowed("")
}

// checkVMsOfLoadBalancer refuses what the HyperVCluster that made the load balancer
// would undo a moment later, after VMs were made or taken away. Whoever writes what
// the HyperVCluster says is its controller, or as good.
func checkVMsOfLoadBalancer(ctx context.Context, live client.Reader, lb *capstanv1.LoadBalancer, replicas int32) (field.ErrorList, error) {
	if !lb.DeletionTimestamp.IsZero() || ptr.Deref(lb.Spec.Replicas, replicas) == replicas {
		return nil, nil
	}
	infra, err := hyperVClusterOf(ctx, live, lb)
	if err != nil || infra == nil || infra.Spec.LoadBalancer == nil || ptr.Deref(infra.Spec.LoadBalancer.Replicas, 2) == replicas {
		return nil, err
	}
	chooser := "HyperVCluster " + infra.Name
	if name := infra.Labels[capstanv1.WorkloadClusterLabel]; name != "" {
		chooser = "WorkloadCluster " + name
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec", "replicas"),
		chooser+" chooses the number of VMs: change its spec.loadBalancer.replicas")}, nil
}
