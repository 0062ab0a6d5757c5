package virtualmachine

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/placement"
)

// longestBecause bounds what is told of a decision.
const longestBecause = 1024

// placer decides on one VM after the other, in sight of decisions that the cache
// does not show yet.
type placer struct {
	observedAt func(host string) time.Time
	policy     placement.Policy

	mu sync.Mutex
	// assumed are decisions that the cache may not show yet.
	assumed map[client.ObjectKey]assumption
	// made is when VMs were first seen whole: a report of their host from before
	// that does not count them.
	made map[client.ObjectKey]time.Time
}

type assumption struct {
	vm        *capstanv1.VirtualMachine
	placement *capstanv1.Placement
	// because tells why it is there.
	because string
}

func newPlacer(observedAt func(string) time.Time) *placer {
	return &placer{observedAt: observedAt, assumed: map[client.ObjectKey]assumption{}, made: map[client.ObjectKey]time.Time{}}
}

// place decides on a VM and assumes that the decision will be recorded. Whoever
// fails to record it calls forget.
func (p *placer) place(vm *capstanv1.VirtualMachine, req placement.Request, hosts []capstanv1.HyperVHost, vms []capstanv1.VirtualMachine) (*capstanv1.Placement, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	snapshot := p.snapshot(hosts, vms)
	going := superseded(vm, vms)
	for i := range snapshot.Placements {
		// It takes room as long as it is there, but nobody keeps away from it.
		if member := &snapshot.Placements[i]; going[types.UID(member.VM)] {
			member.Group = ""
		}
	}
	decision, err := placement.NewPlanner(snapshot).Explain(req)
	if err != nil {
		return nil, err
	}
	recorded := &capstanv1.Placement{Host: decision.Host}
	for i := range hosts {
		if hosts[i].Name == decision.Host {
			recorded.FailoverCluster = hosts[i].Status.FailoverCluster
		}
	}
	for _, d := range decision.Disks {
		recorded.Disks = append(recorded.Disks, capstanv1.DiskPlacement{Name: d.Name, Volume: d.Volume})
	}
	p.assumed[client.ObjectKeyFromObject(vm)] = assumption{vm: vm.DeepCopy(), placement: recorded, because: decision.Trace.WhyHere(longestBecause)}
	return recorded, nil
}

// because tells why a VM was placed where it was, as long as that is not recorded.
func (p *placer) because(vm client.ObjectKey) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.assumed[vm].because
}

// forget drops what is known of a VM that is gone or was not placed after all.
func (p *placer) forget(vm client.ObjectKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.assumed, vm)
	delete(p.made, vm)
}

// standsSince remembers that a VM was seen whole.
func (p *placer) standsSince(vm client.ObjectKey, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.made[vm]; !known {
		p.made[vm] = at
	}
}

// snapshot joins what hosts report with what was decided.
func (p *placer) snapshot(hosts []capstanv1.HyperVHost, vms []capstanv1.VirtualMachine) placement.Snapshot {
	snap := placement.Snapshot{Policy: p.policy}
	for i := range hosts {
		snap.Hosts = append(snap.Hosts, hostOf(&hosts[i]))
	}
	reporters := capstanv1.StorageReporters(hosts)
	for _, h := range reporters {
		snap.Volumes = append(snap.Volumes, volumesOf(h)...)
	}
	for i := range vms {
		vm := &vms[i]
		key := client.ObjectKeyFromObject(vm)
		if vm.Spec.Placement != nil {
			delete(p.assumed, key)
			snap.Placements = append(snap.Placements, placementOf(vm, vm.Spec.Placement, p.inFlight(vm, reporters)))
		}
	}
	for _, a := range p.assumed {
		snap.Placements = append(snap.Placements, placementOf(a.vm, a.placement, true))
	}
	return snap
}

// inFlight tells whether the reports that placement goes by were made before the
// VM was. Where that is not known, which is so after a restart of the manager, the
// phase tells.
func (p *placer) inFlight(vm *capstanv1.VirtualMachine, reporters map[string]*capstanv1.HyperVHost) bool {
	switch vm.Status.Phase {
	case capstanv1.VMStarting, capstanv1.VMRunning, capstanv1.VMDeleting:
	default:
		return true
	}
	made, known := p.made[client.ObjectKeyFromObject(vm)]
	if !known {
		return false
	}
	for _, name := range []string{vm.Spec.Placement.Host, reporterName(vm.Spec.Placement, reporters)} {
		if name != "" && !p.observedAt(name).After(made) {
			return true
		}
	}
	return false
}

func reporterName(place *capstanv1.Placement, reporters map[string]*capstanv1.HyperVHost) string {
	if h := reporters[capstanv1.StorageScope(place.FailoverCluster, place.Host)]; h != nil {
		return h.Name
	}
	return ""
}

func hostOf(h *capstanv1.HyperVHost) placement.Host {
	out := placement.Host{
		Name: h.Name, FailoverCluster: h.Status.FailoverCluster, FailureDomain: h.Spec.FailureDomain,
		Processors: h.Status.Processors, Switches: h.Status.Switches,
		Labels:      h.Labels,
		ReservedMiB: h.Spec.ReservedMemory.Value() >> 20,
	}
	if h.Status.Memory != nil {
		out.MemoryMiB = h.Status.Memory.Value() >> 20
	}
	if h.Status.MemoryFree != nil {
		out.FreeMiB = h.Status.MemoryFree.Value() >> 20
	}
	switch {
	case h.Spec.Lost:
		out.Unschedulable = placement.HostLost
	case h.IsDraining():
		out.Unschedulable = placement.HostDrains
	case h.Spec.Unschedulable || !h.DeletionTimestamp.IsZero():
		out.Unschedulable = placement.HostMaintenance
	case !connected(h):
		out.Unschedulable = placement.HostSilent
	}
	return out
}

func volumesOf(h *capstanv1.HyperVHost) []placement.Volume {
	var out []placement.Volume
	for _, v := range h.Status.Volumes {
		volume := placement.Volume{
			Name: v.Name, FailoverCluster: h.Status.FailoverCluster, Fault: placement.VolumeFault(v.Fault),
			Bytes: v.Capacity.Value(), FreeBytes: v.Free.Value(), ProvisionedBytes: v.Provisioned.Value(), Images: v.Images,
		}
		if volume.FailoverCluster == "" {
			volume.Host = h.Name
		}
		out = append(out, volume)
	}
	return out
}

func placementOf(vm *capstanv1.VirtualMachine, place *capstanv1.Placement, inFlight bool) placement.Placement {
	out := placement.Placement{
		VM: string(vm.UID), Group: group(vm), Role: placement.Role(vm.Spec.Role), Host: place.Host,
		Processors: vm.Spec.Size.CPUs, MemoryMiB: memoryMiB(vm.Spec.Size.Memory), InFlight: inFlight,
	}
	if vm.Status.Host != "" {
		out.Host = vm.Status.Host
	}
	for _, d := range place.Disks {
		bytes := vm.Spec.Size.BootDisk.Value()
		for _, data := range vm.Spec.Size.DataDisks {
			if data.Name == d.Name {
				bytes = data.Size.Value()
			}
		}
		out.Disks = append(out.Disks, placement.PlacedDisk{Volume: d.Volume, Bytes: bytes})
	}
	return out
}
