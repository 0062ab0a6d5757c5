package placement

// Snapshot is the physical world as it was last seen.
type Snapshot struct {
	Hosts   []Host
	Volumes []Volume
	// Placements are all VMs that have a place, visible to their host or not.
	Placements []Placement
	Policy     Policy
}

// Unschedulable is why a host takes no new VM.
type Unschedulable string

// Reasons why a host takes no new VM.
const (
	Schedulable     Unschedulable = ""
	HostSilent      Unschedulable = "Unreachable"
	HostMaintenance Unschedulable = "Maintenance"
	// HostDrains is a host whose VMs are made anew elsewhere.
	HostDrains Unschedulable = "Drain"
	HostLost   Unschedulable = "Lost"
)

// Host is a hypervisor.
type Host struct {
	Name string
	// FailoverCluster is empty for a host that stands alone.
	FailoverCluster string
	// FailureDomain is empty for a host that is in none.
	FailureDomain string
	Unschedulable Unschedulable

	Processors int32
	// MemoryMiB is all the memory there is. Zero means that nothing is known of
	// the host yet.
	MemoryMiB int64
	// ReservedMiB is kept for the host itself.
	ReservedMiB int64
	// FreeMiB is what the host reported as free when it was last asked. Zero means
	// that it is not known; then only placements count.
	FreeMiB  int64
	Switches []string
	// Labels are what an administrator calls the host.
	Labels map[string]string
}

// VolumeFault is what is wrong with a volume.
type VolumeFault string

// Faults of a volume. Any that is not listed here counts as NoAccess.
const (
	VolumeHealthy VolumeFault = ""
	// VolumeRedirected is slow, and often the first sign of worse: it is used only
	// when no other volume fits.
	VolumeRedirected  VolumeFault = "Redirected"
	VolumeMaintenance VolumeFault = "Maintenance"
	VolumeNoAccess    VolumeFault = "NoAccess"
	VolumeDismounted  VolumeFault = "Dismounted"
)

// Volume is a cluster shared volume, or a plain one of a stand-alone host.
type Volume struct {
	Name string
	// FailoverCluster is whose nodes reach the volume. Empty if Host is set.
	FailoverCluster string
	// Host is the one host that reaches the volume. Empty if FailoverCluster is
	// set.
	Host  string
	Fault VolumeFault

	Bytes int64
	// FreeBytes is what is free now.
	FreeBytes int64
	// ProvisionedBytes is the sum of the virtual sizes of all disks on it, as
	// reported: placements that are in flight are not in it.
	ProvisionedBytes int64
	// Images are the checksums of the images that are on the volume or on their
	// way there.
	Images []string
}

// Placement is a VM that has a place.
type Placement struct {
	VM         string
	Group      string
	Role       Role
	Host       string
	Processors int32
	MemoryMiB  int64
	Disks      []PlacedDisk
	// InFlight tells that what the host and its volumes report does not include
	// this VM yet.
	InFlight bool
}

// PlacedDisk is a disk that has a place.
type PlacedDisk struct {
	Volume string
	Bytes  int64
}
