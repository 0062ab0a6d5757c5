package admission

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// +kubebuilder:webhook:path=/validate-capstan-dev-v1alpha1-nodepool,mutating=false,failurePolicy=fail,sideEffects=None,groups=capstan.dev,resources=nodepools,verbs=create;update,versions=v1alpha1,name=nodepool.capstan.dev,admissionReviewVersions=v1,matchPolicy=Equivalent

type nodePoolValidator struct{ live client.Reader }

func setupNodePool(mgr ctrl.Manager, live client.Reader) error {
	return ctrl.NewWebhookManagedBy(mgr, &capstanv1.NodePool{}).
		WithValidator(&nodePoolValidator{live}).Complete()
}

// ValidateCreate refuses a NodePool that could never work. A cluster that is not
// there yet is no reason: GitOps tools apply in any order.
func (v *nodePoolValidator) ValidateCreate(ctx context.Context, pool *capstanv1.NodePool) (admission.Warnings, error) {
	return nil, v.validate(ctx, pool)
}

// ValidateUpdate refuses a change that could never work. What goes is not held
// up, whatever its spec says by now.
func (v *nodePoolValidator) ValidateUpdate(ctx context.Context, old, pool *capstanv1.NodePool) (admission.Warnings, error) {
	if !pool.DeletionTimestamp.IsZero() || pool.Generation == old.Generation {
		return nil, nil
	}
	return nil, v.validate(ctx, pool)
}

// ValidateDelete refuses nothing.
func (v *nodePoolValidator) ValidateDelete(context.Context, *capstanv1.NodePool) (admission.Warnings, error) {
	return nil, nil
}

func (v *nodePoolValidator) validate(ctx context.Context, pool *capstanv1.NodePool) error {
	spec := field.NewPath("spec")
	sizes, err := findLargest(ctx, v.live)
	if err != nil {
		return err
	}
	image, errs, err := v.image(ctx, pool)
	if err != nil {
		return err
	}
	if pool.Spec.OS == capstanv1.OSWindows {
		errs = append(errs, field.NotSupported(spec.Child("os"), pool.Spec.OS, []capstanv1.OS{capstanv1.OSLinux}))
	}
	if pool.Spec.Size != nil {
		errs = append(errs, validateSize(spec.Child("size"), pool.Spec.Size, sizes, image)...)
	}
	errs = append(errs, metav1validation.ValidateLabels(pool.Spec.Labels, spec.Child("labels"))...)
	for i := range pool.Spec.Taints {
		errs = append(errs, validateTaint(spec.Child("taints").Index(i), &pool.Spec.Taints[i])...)
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(capstanv1.GroupVersion.WithKind("NodePool").GroupKind(), pool.Name, errs)
	}
	return nil
}

// image resolves the pool's image for the version of its cluster, as far as the
// cluster is there.
func (v *nodePoolValidator) image(ctx context.Context, pool *capstanv1.NodePool) (*capstanv1.VMImage, field.ErrorList, error) {
	cluster := &capstanv1.WorkloadCluster{}
	err := v.live.Get(ctx, client.ObjectKey{Namespace: pool.Namespace, Name: pool.Spec.ClusterName}, cluster)
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading WorkloadCluster %s: %w", pool.Spec.ClusterName, err)
	}
	images, err := listImages(ctx, v.live)
	if err != nil {
		return nil, nil, err
	}
	spec := field.NewPath("spec")
	image, problem := findImage(images, pool.Spec.OS, cluster.Spec.Version, pool.Spec.Image, spec.Child("image"), spec.Child("os"))
	if problem != nil {
		return nil, field.ErrorList{problem}, nil
	}
	return image, nil, nil
}

func validateTaint(path *field.Path, taint *corev1.Taint) field.ErrorList {
	var errs field.ErrorList
	for _, message := range validation.IsQualifiedName(taint.Key) {
		errs = append(errs, field.Invalid(path.Child("key"), taint.Key, message))
	}
	for _, message := range validation.IsValidLabelValue(taint.Value) {
		errs = append(errs, field.Invalid(path.Child("value"), taint.Value, message))
	}
	effects := []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
	if !slices.Contains(effects, taint.Effect) {
		errs = append(errs, field.NotSupported(path.Child("effect"), taint.Effect, effects))
	}
	return errs
}
