package admission

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// What is less than these was written without its unit: "memory: 4" is 4 bytes.
var (
	leastMemory = resource.MustParse("512Mi")
	leastDisk   = resource.MustParse("1Gi")
)

// Less than these kubeadm refuses in its preflight checks of a control plane.
const leastControlPlaneCPUs = 2

var leastControlPlaneMemory = resource.MustParse("1700M")

// largest is the most that any one host or volume has, whatever runs there now.
// Zero means that no host is known yet, and nothing is refused for its size.
type largest struct {
	processors                         int32
	processorsHost, memoryHost, volume string
	memory, disk                       resource.Quantity
}

func findLargest(ctx context.Context, live client.Reader) (*largest, error) {
	hosts := &capstanv1.HyperVHostList{}
	if err := live.List(ctx, hosts); err != nil {
		return nil, fmt.Errorf("listing HyperVHosts: %w", err)
	}
	l := &largest{}
	for i := range hosts.Items {
		host := &hosts.Items[i]
		if host.Status.Processors > l.processors {
			l.processors, l.processorsHost = host.Status.Processors, host.Name
		}
		if host.Status.Memory != nil {
			memory := host.Status.Memory.DeepCopy()
			memory.Sub(host.Spec.ReservedMemory)
			if memory.Cmp(l.memory) > 0 {
				l.memory, l.memoryHost = memory, host.Name
			}
		}
		for _, v := range host.Status.Volumes {
			if v.Capacity.Cmp(l.disk) > 0 {
				l.disk, l.volume = v.Capacity, v.Name
			}
		}
	}
	return l, nil
}

// validateSize refuses sizes of zero, and those that no known host could ever
// hold. A boot disk must hold its image.
func validateSize(path *field.Path, size *capstanv1.MachineSize, l *largest, image *capstanv1.VMImage) field.ErrorList {
	var errs field.ErrorList
	if size.CPUs < 1 {
		errs = append(errs, field.Invalid(path.Child("cpus"), size.CPUs, "must be at least 1"))
	} else if l.processors > 0 && size.CPUs > l.processors {
		errs = append(errs, field.Invalid(path.Child("cpus"), size.CPUs,
			fmt.Sprintf("no host has as many: the most is %d (%s)", l.processors, l.processorsHost)))
	}
	errs = append(errs, validateQuantity(path.Child("memory"), size.Memory, leastMemory, l.memory, "host", l.memoryHost)...)
	bootDisk := path.Child("bootDisk")
	errs = append(errs, validateQuantity(bootDisk, size.BootDisk, leastDisk, l.disk, "volume", l.volume)...)
	if image != nil && size.BootDisk.Sign() > 0 && size.BootDisk.Cmp(image.Spec.Size) < 0 {
		errs = append(errs, field.Invalid(bootDisk, size.BootDisk.String(),
			fmt.Sprintf("must be at least %s, the size of VMImage %s", image.Spec.Size.String(), image.Name)))
	}
	for i := range size.DataDisks {
		errs = append(errs, validateQuantity(path.Child("dataDisks").Index(i).Child("size"), size.DataDisks[i].Size, leastDisk, l.disk, "volume", l.volume)...)
	}
	return errs
}

// validateControlPlaneSize refuses machines on which no control plane would start.
// What is refused as the size of any machine is not refused twice.
func validateControlPlaneSize(path *field.Path, size *capstanv1.MachineSize) field.ErrorList {
	var errs field.ErrorList
	if size.CPUs > 0 && size.CPUs < leastControlPlaneCPUs {
		errs = append(errs, field.Invalid(path.Child("cpus"), size.CPUs,
			fmt.Sprintf("kubeadm refuses a control plane with less than %d", leastControlPlaneCPUs)))
	}
	if size.Memory.Cmp(leastMemory) >= 0 && size.Memory.Cmp(leastControlPlaneMemory) < 0 {
		errs = append(errs, field.Invalid(path.Child("memory"), size.Memory.String(),
			fmt.Sprintf("kubeadm refuses a control plane with less than %s", leastControlPlaneMemory.String())))
	}
	return errs
}

func validateQuantity(path *field.Path, q, least, most resource.Quantity, what, where string) field.ErrorList {
	switch {
	case q.Sign() <= 0:
		return field.ErrorList{field.Invalid(path, q.String(), "must be more than 0, such as 8Gi")}
	case q.Cmp(least) < 0:
		return field.ErrorList{field.Invalid(path, q.String(), fmt.Sprintf("must be at least %s: give it with its unit, such as 8Gi", least.String()))}
	case most.Sign() > 0 && q.Cmp(most) > 0:
		return field.ErrorList{field.Invalid(path, q.String(),
			fmt.Sprintf("no %s can hold it: the most any has is %s (%s)", what, most.String(), where))}
	}
	return nil
}
