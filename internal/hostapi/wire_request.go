package hostapi

import "github.com/capstan-k8s/capstan/internal/hostapi/hostpb"

// StageImageRequestToProto converts to the wire. Progress stays behind.
func StageImageRequestToProto(r StageImageRequest) *hostpb.StageImageRequest {
	return &hostpb.StageImageRequest{Image: imageRefToProto(r.Image), Volume: r.Volume, Source: r.Source}
}

// StageImageRequestFromProto converts from the wire.
func StageImageRequestFromProto(r *hostpb.StageImageRequest) StageImageRequest {
	return StageImageRequest{Image: imageRefFromProto(r.GetImage()), Volume: r.GetVolume(), Source: r.GetSource()}
}

// EnsureVMRequestToProto converts to the wire.
func EnsureVMRequestToProto(r EnsureVMRequest) *hostpb.EnsureVMRequest {
	return &hostpb.EnsureVMRequest{
		Stamp: stampToProto(r.Stamp), Name: r.Name, Owner: r.Owner, Os: string(r.OS),
		Processors: r.Processors, MemoryMib: r.MemoryMiB,
		Disks: each(r.Disks, diskToProto), Nics: each(r.NICs, nicToProto),
		Seed: r.Seed, KeepSeed: r.KeepSeed, Power: string(r.Power),
	}
}

// EnsureVMRequestFromProto converts from the wire.
func EnsureVMRequestFromProto(r *hostpb.EnsureVMRequest) EnsureVMRequest {
	return EnsureVMRequest{
		Stamp: stampFromProto(r.GetStamp()), Name: r.GetName(), Owner: r.GetOwner(), OS: OS(r.GetOs()),
		Processors: r.GetProcessors(), MemoryMiB: r.GetMemoryMib(),
		Disks: each(r.GetDisks(), diskFromProto), NICs: each(r.GetNics(), nicFromProto),
		Seed: r.Seed, KeepSeed: r.GetKeepSeed(), Power: Power(r.GetPower()),
	}
}

func diskToProto(d Disk) *hostpb.Disk {
	out := &hostpb.Disk{Name: d.Name, Volume: d.Volume, Bytes: d.Bytes}
	if d.Image != nil {
		out.Image = imageRefToProto(*d.Image)
	}
	return out
}

func diskFromProto(d *hostpb.Disk) Disk {
	out := Disk{Name: d.GetName(), Volume: d.GetVolume(), Bytes: d.GetBytes()}
	if d.GetImage() != nil {
		image := imageRefFromProto(d.GetImage())
		out.Image = &image
	}
	return out
}

func nicToProto(n NIC) *hostpb.NIC {
	return &hostpb.NIC{Switch: n.Switch, Vlan: n.VLAN, Mac: n.MAC}
}

func nicFromProto(n *hostpb.NIC) NIC {
	return NIC{Switch: n.GetSwitch(), VLAN: n.GetVlan(), MAC: n.GetMac()}
}

// SetPowerRequestToProto converts to the wire.
func SetPowerRequestToProto(r SetPowerRequest) *hostpb.SetPowerRequest {
	return &hostpb.SetPowerRequest{
		Stamp: stampToProto(r.Stamp), Power: string(r.Power), Force: r.Force, Timeout: durationToProto(r.Timeout),
	}
}

// SetPowerRequestFromProto converts from the wire.
func SetPowerRequestFromProto(r *hostpb.SetPowerRequest) SetPowerRequest {
	return SetPowerRequest{
		Stamp: stampFromProto(r.GetStamp()), Power: Power(r.GetPower()), Force: r.GetForce(), Timeout: r.GetTimeout().AsDuration(),
	}
}

// DeleteVMRequestToProto converts to the wire.
func DeleteVMRequestToProto(r DeleteVMRequest) *hostpb.DeleteVMRequest {
	return &hostpb.DeleteVMRequest{Stamp: stampToProto(r.Stamp)}
}

// DeleteVMRequestFromProto converts from the wire.
func DeleteVMRequestFromProto(r *hostpb.DeleteVMRequest) DeleteVMRequest {
	return DeleteVMRequest{Stamp: stampFromProto(r.GetStamp())}
}
