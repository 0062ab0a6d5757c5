package admission

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// +kubebuilder:webhook:path=/validate-capstan-dev-v1alpha1-workloadcluster,mutating=false,failurePolicy=fail,sideEffects=None,groups=capstan.dev,resources=workloadclusters,verbs=create;update;delete,versions=v1alpha1,name=workloadcluster.capstan.dev,admissionReviewVersions=v1,matchPolicy=Equivalent

type workloadClusterValidator struct{ live client.Reader }

func setupWorkloadCluster(mgr ctrl.Manager, live client.Reader) error {
	return ctrl.NewWebhookManagedBy(mgr, &capstanv1.WorkloadCluster{}).
		WithValidator(&workloadClusterValidator{live}).Complete()
}

// ValidateCreate refuses a WorkloadCluster that could never work.
func (v *workloadClusterValidator) ValidateCreate(ctx context.Context, wlc *capstanv1.WorkloadCluster) (admission.Warnings, error) {
	return v.validate(ctx, nil, wlc)
}

// ValidateUpdate refuses a change that could never work. What goes is not held
// up, whatever its spec says by now.
func (v *workloadClusterValidator) ValidateUpdate(ctx context.Context, old, wlc *capstanv1.WorkloadCluster) (admission.Warnings, error) {
	if !wlc.DeletionTimestamp.IsZero() || wlc.Generation == old.Generation {
		return nil, nil
	}
	return v.validate(ctx, old, wlc)
}

// ValidateDelete refuses while the cluster is protected.
func (v *workloadClusterValidator) ValidateDelete(_ context.Context, wlc *capstanv1.WorkloadCluster) (admission.Warnings, error) {
	return nil, refuseProtected(wlc)
}

func (v *workloadClusterValidator) validate(ctx context.Context, old, wlc *capstanv1.WorkloadCluster) (admission.Warnings, error) {
	errs, err := v.problems(ctx, wlc)
	if err != nil {
		return nil, err
	}
	if old != nil {
		if len(errs) > 0 {
			before, err := v.problems(ctx, old)
			if err != nil {
				return nil, err
			}
			errs = newProblems(before, errs)
		}
		changeErrs, err := v.change(ctx, old, wlc)
		if err != nil {
			return nil, err
		}
		errs = append(errs, changeErrs...)
		errs = append(errs, validateCNIChange(old, wlc)...)
	}
	if len(errs) > 0 {
		return nil, apierrors.NewInvalid(capstanv1.GroupVersion.WithKind("WorkloadCluster").GroupKind(), wlc.Name, errs)
	}
	return v.warnings(ctx, old, wlc)
}

// change is what is wrong with a new version.
func (v *workloadClusterValidator) change(ctx context.Context, old, wlc *capstanv1.WorkloadCluster) (field.ErrorList, error) {
	if old.Spec.Version == wlc.Spec.Version {
		return nil, nil
	}
	now, err := findRunning(ctx, v.live, old)
	if err != nil {
		return nil, err
	}
	pools, err := poolsOf(ctx, v.live, wlc)
	if err != nil {
		return nil, err
	}
	path := field.NewPath("spec", "version")
	return append(validateVersionChange(path, now, old.Spec.Version, wlc.Spec.Version),
		validateHeldPools(path, pools, now, wlc.Spec.Version)...), nil
}

// warnings tell what will work, but not at once, of that which has changed.
func (v *workloadClusterValidator) warnings(ctx context.Context, old, wlc *capstanv1.WorkloadCluster) (admission.Warnings, error) {
	var warnings admission.Warnings
	if old == nil || !equality.Semantic.DeepEqual(old.Spec.Addons.CNI, wlc.Spec.Addons.CNI) {
		pools, err := windowsPoolsOf(ctx, v.live, wlc)
		if err != nil {
			return nil, err
		}
		warnings = append(warnCNI(wlc), warnFlannelOnWindows(wlc, pools)...)
	}
	if old != nil && old.Spec.Version == wlc.Spec.Version && old.Spec.ControlPlane.Image == wlc.Spec.ControlPlane.Image {
		return warnings, nil
	}
	images, err := listImages(ctx, v.live)
	if err != nil {
		return nil, err
	}
	// What was let through without an image says so in its status.
	if image, _ := findImage(images, capstanv1.OSLinux, wlc.Spec.Version, wlc.Spec.ControlPlane.Image, nil, nil); image != nil {
		warnings = append(warnings, warnUnstaged(image)...)
	}
	return warnings, nil
}

// problems are what is wrong with a WorkloadCluster, whatever it was before.
func (v *workloadClusterValidator) problems(ctx context.Context, wlc *capstanv1.WorkloadCluster) (field.ErrorList, error) {
	spec := field.NewPath("spec")
	images, err := listImages(ctx, v.live)
	if err != nil {
		return nil, err
	}
	sizes, err := findLargest(ctx, v.live)
	if err != nil {
		return nil, err
	}
	network, errs, err := v.network(ctx, spec.Child("logicalNetwork"), wlc.Spec.LogicalNetwork)
	if err != nil {
		return nil, err
	}
	versionErrs := validateVersion(spec.Child("version"), wlc.Spec.Version)
	errs = append(errs, versionErrs...)
	if len(versionErrs) == 0 {
		imageErrs, err := v.validateImages(ctx, wlc, images, sizes)
		if err != nil {
			return nil, err
		}
		errs = append(errs, imageErrs...)
	}
	windowsErrs, err := checkWindowsPools(ctx, v.live, wlc)
	if err != nil {
		return nil, err
	}
	errs = append(errs, windowsErrs...)
	errs = append(errs, validateNetworkSizes(spec.Child("clusterNetwork"), &wlc.Spec.ClusterNetwork)...)
	errs = append(errs, validateDisjoint(spec.Child("clusterNetwork"), &wlc.Spec.ClusterNetwork, network)...)
	errs = append(errs, validateSize(spec.Child("nodePoolDefaults", "size"), &wlc.Spec.NodePoolDefaults.Size, sizes, nil)...)
	errs = append(errs, validatePlacement(spec.Child("controlPlane", "placement"), wlc.Spec.ControlPlane.Placement)...)
	errs = append(errs, validatePlacement(spec.Child("loadBalancer", "placement"), wlc.Spec.LoadBalancer.Placement)...)
	return append(errs, validateGuestSettings(spec.Child("guestSettings"), &wlc.Spec.GuestSettings)...), nil
}

func (v *workloadClusterValidator) network(ctx context.Context, path *field.Path, name string) (*capstanv1.LogicalNetwork, field.ErrorList, error) {
	network := &capstanv1.LogicalNetwork{}
	err := v.live.Get(ctx, client.ObjectKey{Name: name}, network)
	switch {
	case apierrors.IsNotFound(err):
		list := &capstanv1.LogicalNetworkList{}
		if err := v.live.List(ctx, list); err != nil {
			return nil, nil, fmt.Errorf("listing LogicalNetworks: %w", err)
		}
		names := make([]string, 0, len(list.Items))
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		return nil, field.ErrorList{field.Invalid(path, name, fmt.Sprintf("no LogicalNetwork has this name: make it, or use one of %v", names))}, nil
	case err != nil:
		return nil, nil, fmt.Errorf("reading LogicalNetwork %s: %w", name, err)
	}
	return network, nil, nil
}

// validateImages checks that the version can be booted for the control plane, the
// load balancer and the OS of every pool there is, and the sizes that hold an
// image.
func (v *workloadClusterValidator) validateImages(ctx context.Context, wlc *capstanv1.WorkloadCluster, images []capstanv1.VMImage, sizes *largest) (field.ErrorList, error) {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	controlPlane := spec.Child("controlPlane")
	image, problem := findImage(images, capstanv1.OSLinux, wlc.Spec.Version, wlc.Spec.ControlPlane.Image, controlPlane.Child("image"), spec.Child("version"))
	if problem != nil {
		errs = append(errs, problem)
	}
	errs = append(errs, validateSize(controlPlane.Child("size"), &wlc.Spec.ControlPlane.Size, sizes, image)...)
	errs = append(errs, validateControlPlaneSize(controlPlane.Child("size"), &wlc.Spec.ControlPlane.Size)...)

	loadBalancer := spec.Child("loadBalancer")
	lbImage := image
	if name := wlc.Spec.LoadBalancer.Image; name != "" {
		lbImage = nil
		for i := range images {
			if images[i].Name == name {
				lbImage = &images[i]
			}
		}
		if lbImage == nil {
			errs = append(errs, field.Invalid(loadBalancer.Child("image"), name, "no VMImage has this name: add it, or leave image out"))
		} else if lbImage.Spec.OS != capstanv1.OSLinux {
			errs = append(errs, field.Invalid(loadBalancer.Child("image"), name,
				fmt.Sprintf("has os %s, but load balancers run on Linux: name another image, or leave image out", lbImage.Spec.OS)))
		}
	}
	errs = append(errs, validateSize(loadBalancer.Child("size"), &wlc.Spec.LoadBalancer.Size, sizes, lbImage)...)

	pools, err := poolsOf(ctx, v.live, wlc)
	if err != nil {
		return nil, err
	}
	for i := range pools {
		pool := &pools[i]
		// One that is held at a version of its own does not follow.
		if pool.Spec.Version != "" && pool.Spec.Version != wlc.Spec.Version {
			continue
		}
		// An image that the pool names for its present version is no obstacle: the pool
		// stays at it, and says so, until another is named. It could not be named first.
		if _, problem := findImage(images, pool.Spec.OS, wlc.Spec.Version, "", nil, spec.Child("version")); problem != nil {
			problem.Detail = fmt.Sprintf("NodePool %s needs it: %s", pool.Name, problem.Detail)
			errs = append(errs, problem)
		}
	}
	return errs, nil
}

// poolsOf lists the pools of a cluster, but for those that go.
func poolsOf(ctx context.Context, live client.Reader, wlc *capstanv1.WorkloadCluster) ([]capstanv1.NodePool, error) {
	list := &capstanv1.NodePoolList{}
	if err := live.List(ctx, list, client.InNamespace(wlc.Namespace)); err != nil {
		return nil, fmt.Errorf("listing NodePools: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(p capstanv1.NodePool) bool {
		return p.Spec.ClusterName != wlc.Name || !p.DeletionTimestamp.IsZero()
	}), nil
}
