package admission

import (
	"context"
	"fmt"
	"maps"
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
	"github.com/capstan-k8s/capstan/internal/translate"
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
	return nil, v.validate(ctx, nil, pool)
}

// ValidateUpdate refuses a change that could never work. What goes is not held
// up, whatever its spec says by now.
func (v *nodePoolValidator) ValidateUpdate(ctx context.Context, old, pool *capstanv1.NodePool) (admission.Warnings, error) {
	if !pool.DeletionTimestamp.IsZero() || pool.Generation == old.Generation {
		return nil, nil
	}
	return nil, v.validate(ctx, old, pool)
}

// ValidateDelete refuses nothing.
func (v *nodePoolValidator) ValidateDelete(context.Context, *capstanv1.NodePool) (admission.Warnings, error) {
	return nil, nil
}

func (v *nodePoolValidator) validate(ctx context.Context, old, pool *capstanv1.NodePool) error {
	errs, err := v.problems(ctx, pool)
	if err != nil {
		return err
	}
	if old != nil && len(errs) > 0 {
		before, err := v.problems(ctx, old)
		if err != nil {
			return err
		}
		errs = newProblems(before, errs)
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(capstanv1.GroupVersion.WithKind("NodePool").GroupKind(), pool.Name, errs)
	}
	return nil
}

// problems are what is wrong with a NodePool, whatever it was before.
func (v *nodePoolValidator) problems(ctx context.Context, pool *capstanv1.NodePool) (field.ErrorList, error) {
	spec := field.NewPath("spec")
	sizes, err := findLargest(ctx, v.live)
	if err != nil {
		return nil, err
	}
	cluster, image, errs, err := v.image(ctx, pool)
	if err != nil {
		return nil, err
	}
	if pool.Spec.OS == capstanv1.OSWindows {
		errs = append(errs, field.NotSupported(spec.Child("os"), pool.Spec.OS, []capstanv1.OS{capstanv1.OSLinux}))
	}
	switch {
	case pool.Spec.Size != nil:
		errs = append(errs, validateSize(spec.Child("size"), pool.Spec.Size, sizes, image)...)
	case cluster != nil:
		errs = append(errs, validateDefaultSize(spec.Child("size"), cluster, image)...)
	}
	errs = append(errs, metav1validation.ValidateLabels(pool.Spec.Labels, spec.Child("labels"))...)
	errs = append(errs, validateNodeLabels(spec.Child("labels"), pool.Spec.Labels)...)
	for i := range pool.Spec.Taints {
		errs = append(errs, validateTaint(spec.Child("taints").Index(i), &pool.Spec.Taints[i])...)
	}
	return errs, nil
}

// image resolves the pool's image for the version of its cluster, as far as the
// cluster is there.
func (v *nodePoolValidator) image(ctx context.Context, pool *capstanv1.NodePool) (*capstanv1.WorkloadCluster, *capstanv1.VMImage, field.ErrorList, error) {
	cluster := &capstanv1.WorkloadCluster{}
	err := v.live.Get(ctx, client.ObjectKey{Namespace: pool.Namespace, Name: pool.Spec.ClusterName}, cluster)
	if apierrors.IsNotFound(err) {
		return nil, nil, nil, nil
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("reading WorkloadCluster %s: %w", pool.Spec.ClusterName, err)
	}
	images, err := listImages(ctx, v.live)
	if err != nil {
		return nil, nil, nil, err
	}
	spec := field.NewPath("spec")
	var errs field.ErrorList
	image, problem := findImage(images, pool.Spec.OS, cluster.Spec.Version, pool.Spec.Image, spec.Child("image"), spec.Child("os"))
	if problem != nil {
		errs = append(errs, problem)
	}
	return cluster, image, errs, nil
}

// validateDefaultSize refuses a pool whose image does not fit the boot disk that
// its cluster gives to pools.
func validateDefaultSize(path *field.Path, cluster *capstanv1.WorkloadCluster, image *capstanv1.VMImage) field.ErrorList {
	size := &cluster.Spec.NodePoolDefaults.Size
	if image == nil || size.BootDisk.Sign() <= 0 || size.BootDisk.Cmp(image.Spec.Size) >= 0 {
		return nil
	}
	return field.ErrorList{field.Required(path, fmt.Sprintf(
		"the boot disk of nodePoolDefaults.size in WorkloadCluster %s is %s, less than the %s of VMImage %s: set size.bootDisk here",
		cluster.Name, size.BootDisk.String(), image.Spec.Size.String(), image.Name))}
}

// validateNodeLabels refuses labels that no kubelet would start with.
func validateNodeLabels(path *field.Path, labels map[string]string) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if translate.SetterOf(key) == translate.SetByNobody {
			errs = append(errs, field.Invalid(path.Key(key), labels[key],
				"is reserved for Kubernetes itself and kubelets refuse it: use a domain of your own, or node-role.kubernetes.io"))
		}
	}
	return errs
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
