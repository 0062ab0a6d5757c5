package hostapi

import "github.com/capstan-k8s/capstan/internal/hostapi/hostpb"

// VMToProto converts to the wire.
func VMToProto(vm VM) *hostpb.VM {
	return &hostpb.VM{
		Stamp: stampToProto(vm.Stamp), Name: vm.Name, Owner: vm.Owner, Host: vm.Host, State: string(vm.State),
		Processors: vm.Processors, MemoryMib: vm.MemoryMiB,
		Disks: each(vm.Disks, diskStatusToProto), Nics: each(vm.NICs, nicStatusToProto),
		SeedAttached: vm.SeedAttached, Heartbeat: string(vm.Heartbeat), Console: each(vm.Console, text),
		Init: initToProto(vm.Init), Operation: OperationToProto(vm.Operation),
	}
}

// VMFromProto converts from the wire.
func VMFromProto(vm *hostpb.VM) VM {
	return VM{
		Stamp: stampFromProto(vm.GetStamp()), Name: vm.GetName(), Owner: vm.GetOwner(), Host: vm.GetHost(),
		State: State(vm.GetState()), Processors: vm.GetProcessors(), MemoryMiB: vm.GetMemoryMib(),
		Disks: each(vm.GetDisks(), diskStatusFromProto), NICs: each(vm.GetNics(), nicStatusFromProto),
		SeedAttached: vm.GetSeedAttached(), Heartbeat: Heartbeat(vm.GetHeartbeat()), Console: words(vm.GetConsole()),
		Init:      GuestInit{State: InitState(vm.GetInit().GetState()), Stage: vm.GetInit().GetStage()},
		Operation: OperationFromProto(vm.GetOperation()),
	}
}

// initToProto leaves out what nothing is known of.
func initToProto(i GuestInit) *hostpb.GuestInit {
	if i == (GuestInit{}) {
		return nil
	}
	return &hostpb.GuestInit{State: string(i.State), Stage: text(i.Stage)}
}

func stampToProto(s Stamp) *hostpb.Stamp {
	return &hostpb.Stamp{Installation: s.Installation, Id: string(s.ID)}
}

func stampFromProto(s *hostpb.Stamp) Stamp {
	return Stamp{Installation: s.GetInstallation(), ID: VMID(s.GetId())}
}

func diskStatusToProto(d DiskStatus) *hostpb.DiskStatus {
	return &hostpb.DiskStatus{Name: d.Name, Volume: d.Volume, Path: d.Path, Bytes: d.Bytes, FileBytes: d.FileBytes}
}

func diskStatusFromProto(d *hostpb.DiskStatus) DiskStatus {
	return DiskStatus{
		Name: d.GetName(), Volume: d.GetVolume(), Path: d.GetPath(), Bytes: d.GetBytes(), FileBytes: d.GetFileBytes(),
	}
}

func nicStatusToProto(n NICStatus) *hostpb.NICStatus {
	return &hostpb.NICStatus{Mac: n.MAC, Addresses: n.Addresses}
}

func nicStatusFromProto(n *hostpb.NICStatus) NICStatus {
	return NICStatus{MAC: n.GetMac(), Addresses: words(n.GetAddresses())}
}

func imageRefToProto(i ImageRef) *hostpb.ImageRef {
	return &hostpb.ImageRef{Name: i.Name, Sha256: i.SHA256}
}

func imageRefFromProto(i *hostpb.ImageRef) ImageRef {
	return ImageRef{Name: i.GetName(), SHA256: i.GetSha256()}
}

// ImageToProto converts to the wire.
func ImageToProto(i Image) *hostpb.Image {
	return &hostpb.Image{
		Ref: imageRefToProto(i.ImageRef), Volume: i.Volume, Bytes: i.Bytes, Operation: OperationToProto(i.Operation),
	}
}

// ImageFromProto converts from the wire.
func ImageFromProto(i *hostpb.Image) Image {
	return Image{
		ImageRef: imageRefFromProto(i.GetRef()), Volume: i.GetVolume(), Bytes: i.GetBytes(),
		Operation: OperationFromProto(i.GetOperation()),
	}
}
