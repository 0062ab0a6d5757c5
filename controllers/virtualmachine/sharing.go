package virtualmachine

import (
	"fmt"
	"slices"
	"strings"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// reasonSharesPlace is that of the event that tells of members of a quorum or of a
// failover pair that one fault can hit together. It is no condition: the VM is well,
// and would not be moved for it.
const reasonSharesPlace = "SharesPlace"

// sharing says which members of its group a VM shares its host or a volume with, or
// "" if none. Only those are told of that are meant to fail one by one.
func sharing(vm *capstanv1.VirtualMachine, vms []capstanv1.VirtualMachine) string {
	if vm.Spec.Role == capstanv1.RoleWorker || vm.Spec.Group == "" {
		return ""
	}
	going := superseded(vm, vms)
	onHost, onVolume := []string{}, map[string][]string{}
	for i := range vms {
		member := &vms[i]
		if member.UID == vm.UID || group(member) != group(vm) || member.Spec.Placement == nil || going[member.UID] {
			continue
		}
		if whereIs(member) == vm.Spec.Placement.Host {
			onHost = append(onHost, member.Name)
		}
		for _, volume := range sharedVolumes(vm.Spec.Placement, member.Spec.Placement) {
			onVolume[volume] = append(onVolume[volume], member.Name)
		}
	}
	var said []string
	if len(onHost) > 0 {
		slices.Sort(onHost)
		said = append(said, together(vm.Name, onHost, "are on host "+vm.Spec.Placement.Host))
	}
	for _, disk := range vm.Spec.Placement.Disks {
		if members := onVolume[disk.Volume]; len(members) > 0 {
			slices.Sort(members)
			said = append(said, together(vm.Name, members, "have disks on volume "+disk.Volume))
			delete(onVolume, disk.Volume)
		}
	}
	return strings.Join(said, "; ")
}

// together says where members are. Why they are there is not known: their hosts may
// have been the only ones with room, or a failover may have brought them together.
func together(name string, others []string, where string) string {
	hits := "both"
	if len(others) > 1 {
		hits = "all of them"
	}
	first := append([]string{name}, others[:len(others)-1]...)
	return fmt.Sprintf("%s and %s %s: one fault there hits %s", strings.Join(first, ", "), others[len(others)-1], where, hits)
}

func whereIs(vm *capstanv1.VirtualMachine) string {
	if vm.Status.Host != "" {
		return vm.Status.Host
	}
	return vm.Spec.Placement.Host
}

// sharedVolumes are the volumes that two VMs have disks on. Volumes of hosts that
// are in no failover cluster together are different ones, whatever their names.
func sharedVolumes(a, b *capstanv1.Placement) []string {
	if capstanv1.StorageScope(a.FailoverCluster, a.Host) != capstanv1.StorageScope(b.FailoverCluster, b.Host) {
		return nil
	}
	var shared []string
	for _, disk := range a.Disks {
		isShared := slices.ContainsFunc(b.Disks, func(other capstanv1.DiskPlacement) bool { return other.Volume == disk.Volume })
		if isShared && !slices.Contains(shared, disk.Volume) {
			shared = append(shared, disk.Volume)
		}
	}
	return shared
}
