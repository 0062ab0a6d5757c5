package admission

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// +kubebuilder:webhook:path=/validate-capstan-dev-v1alpha1-logicalnetwork,mutating=false,failurePolicy=fail,sideEffects=None,groups=capstan.dev,resources=logicalnetworks,verbs=create;update;delete,versions=v1alpha1,name=logicalnetwork.capstan.dev,admissionReviewVersions=v1,matchPolicy=Equivalent
// +kubebuilder:webhook:path=/validate-capstan-dev-v1alpha1-vmimage,mutating=false,failurePolicy=fail,sideEffects=None,groups=capstan.dev,resources=vmimages,verbs=create;delete,versions=v1alpha1,name=vmimage.capstan.dev,admissionReviewVersions=v1,matchPolicy=Equivalent
// +kubebuilder:webhook:path=/validate-capstan-dev-v1alpha1-hypervhost,mutating=false,failurePolicy=fail,sideEffects=None,groups=capstan.dev,resources=hypervhosts,verbs=delete,versions=v1alpha1,name=hypervhost.capstan.dev,admissionReviewVersions=v1,matchPolicy=Equivalent

type logicalNetworkValidator struct{ live client.Reader }

func setupLogicalNetwork(mgr ctrl.Manager, live client.Reader) error {
	return ctrl.NewWebhookManagedBy(mgr, &capstanv1.LogicalNetwork{}).
		WithValidator(&logicalNetworkValidator{live}).Complete()
}

// ValidateCreate refuses ranges that make no sense.
func (v *logicalNetworkValidator) ValidateCreate(ctx context.Context, network *capstanv1.LogicalNetwork) (admission.Warnings, error) {
	return v.validate(ctx, nil, network)
}

// ValidateUpdate refuses ranges that make no sense, or that take an address from
// somebody.
func (v *logicalNetworkValidator) ValidateUpdate(ctx context.Context, old, network *capstanv1.LogicalNetwork) (admission.Warnings, error) {
	if !network.DeletionTimestamp.IsZero() || network.Generation == old.Generation {
		return nil, nil
	}
	return v.validate(ctx, old, network)
}

// ValidateDelete refuses while the network is used.
func (v *logicalNetworkValidator) ValidateDelete(ctx context.Context, network *capstanv1.LogicalNetwork) (admission.Warnings, error) {
	users, err := v.usersOf(ctx, network.Name)
	if err != nil {
		return nil, err
	}
	held := &capstanv1.AddressReservationList{}
	if err := v.live.List(ctx, held); err != nil {
		return nil, fmt.Errorf("listing AddressReservations: %w", err)
	}
	for i := range held.Items {
		if held.Items[i].Spec.LogicalNetwork == network.Name {
			users = append(users, "AddressReservation "+held.Items[i].Name)
		}
	}
	return nil, refuseInUse("logicalnetworks", network.Name, "delete them first", users)
}

// usersOf lists what is in a network, or will be.
func (v *logicalNetworkValidator) usersOf(ctx context.Context, network string) ([]string, error) {
	users, err := usersOfSpecs(ctx, v.live, network, "")
	if err != nil {
		return nil, err
	}
	vms, err := usersOfVMs(ctx, v.live, func(vm *capstanv1.VirtualMachine) bool { return usesNetwork(vm.Spec.Networks, network) })
	return append(users, vms...), err
}

type vmImageValidator struct{ live client.Reader }

func setupVMImage(mgr ctrl.Manager, live client.Reader) error {
	return ctrl.NewWebhookManagedBy(mgr, &capstanv1.VMImage{}).WithValidator(&vmImageValidator{live}).Complete()
}

// ValidateCreate refuses an image without content.
func (v *vmImageValidator) ValidateCreate(_ context.Context, image *capstanv1.VMImage) (admission.Warnings, error) {
	if image.Spec.Size.Sign() <= 0 {
		return nil, apierrors.NewInvalid(capstanv1.GroupVersion.WithKind("VMImage").GroupKind(), image.Name, field.ErrorList{
			field.Invalid(field.NewPath("spec", "size"), image.Spec.Size.String(), "must be more than 0: the virtual size of the image's disk, such as 20Gi"),
		})
	}
	return nil, nil
}

// ValidateUpdate refuses nothing: the schema forbids changes.
func (v *vmImageValidator) ValidateUpdate(context.Context, *capstanv1.VMImage, *capstanv1.VMImage) (admission.Warnings, error) {
	return nil, nil
}

// ValidateDelete refuses while the image is used: the disks of VMs are
// differences of it, and templates would make more.
func (v *vmImageValidator) ValidateDelete(ctx context.Context, image *capstanv1.VMImage) (admission.Warnings, error) {
	users, err := usersOfSpecs(ctx, v.live, "", image.Name)
	if err != nil {
		return nil, err
	}
	vms, err := usersOfVMs(ctx, v.live, func(vm *capstanv1.VirtualMachine) bool { return vm.Spec.Image == image.Name })
	if err != nil {
		return nil, err
	}
	return nil, refuseInUse("vmimages", image.Name, "roll them to another image first", append(users, vms...))
}

type hyperVHostValidator struct{ live client.Reader }

func setupHyperVHost(mgr ctrl.Manager, live client.Reader) error {
	return ctrl.NewWebhookManagedBy(mgr, &capstanv1.HyperVHost{}).WithValidator(&hyperVHostValidator{live}).Complete()
}

// ValidateCreate refuses nothing: the schema says it all.
func (v *hyperVHostValidator) ValidateCreate(context.Context, *capstanv1.HyperVHost) (admission.Warnings, error) {
	return nil, nil
}

// ValidateUpdate refuses nothing: the schema says it all.
func (v *hyperVHostValidator) ValidateUpdate(context.Context, *capstanv1.HyperVHost, *capstanv1.HyperVHost) (admission.Warnings, error) {
	return nil, nil
}

// ValidateDelete refuses while VMs are on the host, or were placed there and not
// confirmed to be gone.
func (v *hyperVHostValidator) ValidateDelete(ctx context.Context, host *capstanv1.HyperVHost) (admission.Warnings, error) {
	vms, err := usersOfVMs(ctx, v.live, func(vm *capstanv1.VirtualMachine) bool {
		return vm.CurrentHost() == host.Name
	})
	if err != nil {
		return nil, err
	}
	return nil, refuseInUse("hypervhosts", host.Name,
		"set spec.maintenance to Drain and wait for its condition Drained, or set spec.lost if the host is gone for good", vms)
}
