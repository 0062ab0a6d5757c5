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
		said = append(said, fmt.Sprintf("host %s with %s", vm.Spec.Placement.Host, strings.Join(onHost, ", ")))
	}
	for _, disk := range vm.Spec.Placement.Disks {
		if members := onVolume[disk.Volume]; len(members) > 0 {
			slices.Sort(members)
			said = append(said, fmt.Sprintf("volume %s with %s", disk.Volume, strings.Join(members, ", ")))
			delete(onVolume, disk.Volume)
		}
	}
	if len(said) == 0 {
		return ""
	}
	return "shares " + strings.Join(said, " and ") + ": no other has room for it"
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
	if scopeOf(a.FailoverCluster, a.Host) != scopeOf(b.FailoverCluster, b.Host) {
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
