package hostapi

import "github.com/capstan-k8s/capstan/internal/hostapi/hostpb"

// HelloToProto converts to the wire.
func HelloToProto(h Hello) *hostpb.HelloResponse {
	return &hostpb.HelloResponse{
		Host: h.Host, Version: h.Version, Protocols: h.Protocols, Driver: h.Driver,
		BootId: h.BootID, AwaitingBury: h.AwaitingBury,
	}
}

// HelloFromProto converts from the wire.
func HelloFromProto(h *hostpb.HelloResponse) Hello {
	return Hello{
		Host: h.GetHost(), Version: h.GetVersion(),
		Protocols: each(h.GetProtocols(), func(v int32) int32 { return v }),
		Driver:    h.GetDriver(), BootID: h.GetBootId(), AwaitingBury: h.GetAwaitingBury(),
	}
}

// InventoryToProto converts to the wire.
func InventoryToProto(i Inventory) *hostpb.InventoryResponse {
	return &hostpb.InventoryResponse{
		Host: i.Host, HypervisorVersion: i.HypervisorVersion, Processors: i.Processors,
		MemoryMib: i.MemoryMiB, MemoryFreeMib: i.MemoryFreeMiB, FailoverCluster: i.FailoverCluster,
		Volumes: each(i.Volumes, volumeToProto), Switches: i.Switches,
		Images: each(i.Images, ImageToProto), Vms: i.VMs, BootId: i.BootID,
	}
}

// InventoryFromProto converts from the wire.
func InventoryFromProto(i *hostpb.InventoryResponse) Inventory {
	return Inventory{
		Host: i.GetHost(), HypervisorVersion: i.GetHypervisorVersion(), Processors: i.GetProcessors(),
		MemoryMiB: i.GetMemoryMib(), MemoryFreeMiB: i.GetMemoryFreeMib(), FailoverCluster: i.GetFailoverCluster(),
		Volumes: each(i.GetVolumes(), volumeFromProto), Switches: words(i.GetSwitches()),
		Images: each(i.GetImages(), ImageFromProto), VMs: i.GetVms(), BootID: i.GetBootId(),
	}
}

func volumeToProto(v Volume) *hostpb.Volume {
	return &hostpb.Volume{
		Name: v.Name, Bytes: v.Bytes, FreeBytes: v.FreeBytes, ProvisionedBytes: v.ProvisionedBytes, Fault: string(v.Fault),
	}
}

func volumeFromProto(v *hostpb.Volume) Volume {
	return Volume{
		Name: v.GetName(), Bytes: v.GetBytes(), FreeBytes: v.GetFreeBytes(),
		ProvisionedBytes: v.GetProvisionedBytes(), Fault: VolumeFault(v.GetFault()),
	}
}

// TombstoneToProto converts to the wire.
func TombstoneToProto(t Tombstone) *hostpb.Tombstone {
	return &hostpb.Tombstone{Stamp: stampToProto(t.Stamp), Name: t.Name}
}

// TombstoneFromProto converts from the wire.
func TombstoneFromProto(t *hostpb.Tombstone) Tombstone {
	return Tombstone{Stamp: stampFromProto(t.GetStamp()), Name: t.GetName()}
}

// OperationToProto converts to the wire.
func OperationToProto(o *Operation) *hostpb.Operation {
	if o == nil {
		return nil
	}
	return &hostpb.Operation{
		Ref: o.Ref, What: o.What, Started: timeToProto(o.Started), Percent: o.Percent, Done: o.Done, Err: errorToProto(o.Err),
	}
}

// OperationFromProto converts from the wire.
func OperationFromProto(o *hostpb.Operation) *Operation {
	if o == nil {
		return nil
	}
	return &Operation{
		Ref: o.GetRef(), What: o.GetWhat(), Started: timeFromProto(o.GetStarted()),
		Percent: o.GetPercent(), Done: o.GetDone(), Err: errorFromProto(o.GetErr()),
	}
}
