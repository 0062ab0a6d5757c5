package virtualmachine

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/metrics"
	"github.com/capstan-k8s/capstan/internal/placement"
)

// bootDisk is the name of the disk that is booted from.
const bootDisk = "boot"

// place decides where the VM goes, once, and records it before any host hears of
// it.
func (r *Reconciler) place(ctx context.Context, s *scope) (*wait, error) {
	if waiting, err := r.findImage(ctx, s); waiting != nil || err != nil {
		return waiting, err
	}
	hosts := &capstanv1.HyperVHostList{}
	if err := r.Client.List(ctx, hosts); err != nil {
		return nil, fmt.Errorf("listing HyperVHosts: %w", err)
	}
	s.hosts = hosts.Items
	if s.vm.Spec.Placement != nil {
		return nil, nil
	}
	vms, err := r.list(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("listing VirtualMachines: %w", err)
	}
	decision, err := r.placer.place(s.vm, request(s), hosts.Items, vms)
	var unplaceable *placement.Unplaceable
	switch {
	case errors.As(err, &unplaceable):
		metrics.Placed(string(unplaceable.Reason))
		return &wait{reason: reasonOfUnplaceable(unplaceable.Reason), message: unplaceable.Message, detail: whyNot(unplaceable), requeue: pollPlacing}, nil
	case err != nil:
		return nil, err
	}
	before := s.vm.DeepCopy()
	s.vm.Spec.Placement = decision
	if because := r.placer.because(client.ObjectKeyFromObject(s.vm)); because != "" {
		metav1.SetMetaDataAnnotation(&s.vm.ObjectMeta, capstanv1.PlacedBecauseAnnotation, because)
	}
	if err := r.record(ctx, before, s.vm); err != nil {
		r.placer.forget(client.ObjectKeyFromObject(s.vm))
		return nil, fmt.Errorf("recording the place of VirtualMachine %s: %w", s.vm.Name, err)
	}
	metrics.Placed(metrics.PlacementPlaced)
	if shared := sharing(s.vm, vms); shared != "" {
		r.Events.Eventf(s.vm, nil, corev1.EventTypeWarning, reasonSharesPlace, "Place", "%s", shared)
	}
	return nil, nil
}

// longestWhyNot bounds what is told of hosts and volumes that were not taken.
const longestWhyNot = 2048

func whyNot(u *placement.Unplaceable) string {
	if u.Trace == nil {
		return ""
	}
	return u.Trace.WhyNot(longestWhyNot)
}

func (r *Reconciler) findImage(ctx context.Context, s *scope) (*wait, error) {
	image := &capstanv1.VMImage{}
	switch err := r.Client.Get(ctx, client.ObjectKey{Name: s.vm.Spec.Image}, image); {
	case apierrors.IsNotFound(err) && placed(s.was):
		// It is needed no more once the VM stands; where it is, making it again waits.
		return nil, nil
	case apierrors.IsNotFound(err):
		return waitForImage(s), nil
	case err != nil:
		return nil, fmt.Errorf("reading VMImage %s: %w", s.vm.Spec.Image, err)
	}
	s.image = image
	return nil, nil
}

func waitForImage(s *scope) *wait {
	return &wait{
		reason: capstanv1.ReasonImageNotFound, requeue: pollWaiting,
		message: fmt.Sprintf("VMImage %s does not exist: add it", s.vm.Spec.Image),
	}
}

// request is the VM as placement knows it.
func request(s *scope) placement.Request {
	size := s.vm.Spec.Size
	req := placement.Request{
		VM: string(s.vm.UID), Group: group(s.vm), Role: placement.Role(s.vm.Spec.Role), Processors: size.CPUs,
		MemoryMiB: memoryMiB(size.Memory), FailureDomain: s.vm.Spec.FailureDomain, Avoid: s.vm.Spec.AvoidHosts,
		Disks: []placement.Disk{{Name: bootDisk, Bytes: bootBytes(s), Image: &placement.Image{
			SHA256: s.image.Spec.SHA256, Bytes: s.image.Spec.Size.Value(), Stageable: s.image.Spec.Source != "",
		}}},
	}
	obey(&req, s.vm.Spec.PlacementRules)
	for _, d := range size.DataDisks {
		req.Disks = append(req.Disks, placement.Disk{Name: d.Name, Bytes: d.Size.Value()})
	}
	for _, n := range s.networks {
		req.Switches = append(req.Switches, n.Spec.Switch)
	}
	return req
}

// group keeps the groups of different namespaces apart.
func group(vm *capstanv1.VirtualMachine) string {
	if vm.Spec.Group == "" {
		return ""
	}
	return vm.Namespace + "/" + vm.Spec.Group
}

// bootBytes is at least the size of the image: a differencing disk cannot be
// smaller than its parent.
func bootBytes(s *scope) int64 {
	return max(s.vm.Spec.Size.BootDisk.Value(), s.image.Spec.Size.Value())
}

// memoryMiB rounds up to what Hyper-V allots memory in: two mebibytes.
func memoryMiB(q resource.Quantity) int64 {
	const granule = 2 << 20
	return (q.Value() + granule - 1) / granule * 2
}

func reasonOfUnplaceable(reason placement.Reason) string {
	switch reason {
	case placement.HostUnreachable:
		return capstanv1.ReasonHostUnreachable
	case placement.OutOfProcessors, placement.OutOfMemory, placement.OutOfStorage, placement.NoSpareHost:
		return capstanv1.ReasonOutOfCapacity
	case placement.VolumeFaulted:
		return capstanv1.ReasonVolumeFault
	case placement.NoImage:
		return capstanv1.ReasonImageNotFound
	case placement.InvalidRequest:
		return capstanv1.ReasonInvalidSpec
	case placement.HostUnschedulable, placement.HostDraining, placement.NoHost, placement.NoFailureDomain, placement.NoSwitch, placement.NoVolume,
		placement.HostNotSelected, placement.NotApart, placement.VolumeNotSelected:
		return capstanv1.ReasonUnplaceable
	default:
		return capstanv1.ReasonUnplaceable
	}
}
