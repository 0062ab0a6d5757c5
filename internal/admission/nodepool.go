package admission

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	server := mgr.GetWebhookServer()
	server.Register("/mutate-capstan-dev-v1alpha1-nodepool", &admission.Webhook{Handler: &nodePoolDefaulter{admission.NewDecoder(mgr.GetScheme())}})
	server.Register("/validate-capstan-dev-v1alpha1-nodepool-scale", &admission.Webhook{Handler: &nodePoolScaleValidator{live}})
	return ctrl.NewWebhookManagedBy(mgr, &capstanv1.NodePool{}).
		WithValidator(&nodePoolValidator{live}).Complete()
}

// ValidateCreate refuses a NodePool that could never work. A cluster that is not
// there yet is no reason: GitOps tools apply in any order.
func (v *nodePoolValidator) ValidateCreate(ctx context.Context, pool *capstanv1.NodePool) (admission.Warnings, error) {
	return v.validate(ctx, nil, pool)
}

// ValidateUpdate refuses a change that could never work. What goes is not held
// up, whatever its spec says by now.
func (v *nodePoolValidator) ValidateUpdate(ctx context.Context, old, pool *capstanv1.NodePool) (admission.Warnings, error) {
	if !pool.DeletionTimestamp.IsZero() || pool.Generation == old.Generation {
		return nil, nil
	}
	return v.validate(ctx, old, pool)
}

// ValidateDelete refuses nothing.
func (v *nodePoolValidator) ValidateDelete(context.Context, *capstanv1.NodePool) (admission.Warnings, error) {
	return nil, nil
}

func (v *nodePoolValidator) validate(ctx context.Context, old, pool *capstanv1.NodePool) (admission.Warnings, error) {
	errs, err := v.problems(ctx, pool)
	if err != nil {
		return nil, err
	}
	if old != nil && len(errs) > 0 {
		before, err := v.problems(ctx, old)
		if err != nil {
			return nil, err
		}
		errs = newProblems(before, errs)
	}
	warnings, addressErrs, err := checkAddresses(ctx, v.live, old, pool)
	if err != nil {
		return nil, err
	}
	if errs = append(errs, addressErrs...); len(errs) > 0 {
		return nil, apierrors.NewInvalid(capstanv1.GroupVersion.WithKind("NodePool").GroupKind(), pool.Name, errs)
	}
	more, err := warnWindowsPool(ctx, v.live, pool)
	return append(warnings, more...), err
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
	versionErrs, err := validatePoolVersion(ctx, v.live, spec.Child("version"), pool, cluster)
	if err != nil {
		return nil, err
	}
	errs = append(errs, versionErrs...)
	errs = append(errs, validateWindowsPool(pool, cluster)...)
	if pool.Spec.Size != nil {
		errs = append(errs, validateSize(spec.Child("size"), pool.Spec.Size, sizes, image)...)
	}
	errs = append(errs, validateReplicas(spec, pool)...)
	errs = append(errs, validatePlacement(spec.Child("placement"), pool.Spec.Placement)...)
	if suffix := translate.ControlPlaneName(""); strings.HasSuffix(pool.Name, suffix) {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), pool.Name,
			fmt.Sprintf("must not end in %s: so do the names of what is made for control planes", suffix)))
	}
	return append(errs, validateNodeMetadata(spec, &pool.Spec)...), nil
}

// validateReplicas refuses a number of nodes that two want to choose.
func validateReplicas(spec *field.Path, pool *capstanv1.NodePool) field.ErrorList {
	if pool.Spec.Autoscaling == nil || pool.Spec.Replicas == nil {
		return nil
	}
	return field.ErrorList{field.Forbidden(spec.Child("replicas"), fmt.Sprintf(
		"autoscaling chooses the number of nodes, and %s set it, too: remove replicas (\"replicas: null\"), or remove autoscaling",
		strings.Join(replicasOwners(pool), ", ")))}
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
	image, problem := findImage(images, pool.Spec.OS, versionOf(pool, cluster), pool.Spec.Image, spec.Child("image"), versionPath(spec, pool))
	if problem != nil {
		errs = append(errs, problem)
	}
	return cluster, image, errs, nil
}
