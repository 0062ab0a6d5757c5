package hostapi

import "time"

// VMID is the identity of a VM: the UID of the API object it was made for. It
// is chosen before anything is created and never changes.
type VMID string

// Stamp marks a VM or disk as Capstan's. It is part of the very call that
// creates it, and is checked before every change and delete.
type Stamp struct {
	// Installation is the identity of the management cluster that made it.
	Installation string `json:"installation"`
	// ID is the identity of the VM.
	ID VMID `json:"id"`
}

// OS is the family of operating system in a guest.
type OS string

// Families of operating systems.
const (
	Linux   OS = "Linux"
	Windows OS = "Windows"
)

// Power is the wanted power state of a VM.
type Power string

// Wanted power states.
const (
	PowerOn  Power = "On"
	PowerOff Power = "Off"
)

// State is the observed state of a VM.
type State string

// Observed states of a VM.
const (
	// StatePartial means that some of the VM's parts exist, but not all: it was
	// being created or deleted when its agent stopped.
	StatePartial  State = "Partial"
	StateOff      State = "Off"
	StateStarting State = "Starting"
	StateRunning  State = "Running"
	StateStopping State = "Stopping"
	// StateFailed means that the hypervisor reports a critical state, such as
	// lost storage.
	StateFailed State = "Failed"
)

// Heartbeat is what the guest's integration services say.
type Heartbeat string

// Heartbeats of a guest.
const (
	HeartbeatOK      Heartbeat = "OK"
	HeartbeatLost    Heartbeat = "Lost"
	HeartbeatUnknown Heartbeat = "Unknown"
)

// InitState is how a guest's first configuration, the work of cloud-init or
// cloudbase-init, stands.
type InitState string

// States of a first configuration.
const (
	// InitUnknown means that nothing tells: the host has no console of the guest,
	// or nothing on it speaks of this.
	InitUnknown InitState = ""
	InitRunning InitState = "Running"
	InitDone    InitState = "Done"
	// InitFailed means that it has ended without what the seed asks for, which is
	// not tried again.
	InitFailed InitState = "Failed"
)

// GuestInit is how far a guest's first configuration is.
type GuestInit struct {
	State InitState `json:"state,omitempty"`
	// Stage is the stage that it is in or failed in, by cloud-init's own name:
	// init-local, init, modules:config, modules:final.
	Stage string `json:"stage,omitempty"`
}

// VolumeFault is what is wrong with a cluster shared volume.
type VolumeFault string

// Faults of a volume, worst last.
// Source: MSCluster_ClusterSharedVolume.FaultState.
const (
	VolumeHealthy     VolumeFault = ""
	VolumeRedirected  VolumeFault = "Redirected"
	VolumeMaintenance VolumeFault = "Maintenance"
	VolumeNoAccess    VolumeFault = "NoAccess"
	VolumeDismounted  VolumeFault = "Dismounted"
)

// ImageRef names the content of an image.
type ImageRef struct {
	// Name is for people.
	Name string `json:"name"`
	// SHA256 is the checksum of the source, 64 lower-case hexadecimal digits. It
	// is the identity of the image.
	SHA256 string `json:"sha256"`
}

// Image is an image on a volume.
type Image struct {
	ImageRef `json:",inline"`
	Volume   string `json:"volume"`
	// Bytes is the virtual size of the disk in the image.
	Bytes int64 `json:"bytes"`
	// Operation is set while the image is being staged.
	Operation *Operation `json:"operation,omitempty"`
}

// Disk is one virtual disk of a VM.
type Disk struct {
	// Name is unique within the VM, "boot" for the first.
	Name string `json:"name"`
	// Volume is the cluster shared volume the disk lies on.
	Volume string `json:"volume"`
	// Bytes is the virtual size.
	Bytes int64 `json:"bytes"`
	// Image is the parent of a differencing disk. It must be staged on Volume.
	Image *ImageRef `json:"image,omitempty"`
}

// NIC is one network adapter of a VM.
type NIC struct {
	Switch string `json:"switch"`
	// VLAN is the access VLAN, 0 for none.
	VLAN int32 `json:"vlan,omitempty"`
	// MAC is the static address in lower case with colons.
	MAC string `json:"mac"`
}

// StageImageRequest asks for an image on a volume.
type StageImageRequest struct {
	Image  ImageRef `json:"image"`
	Volume string   `json:"volume"`
	// Source is where the image comes from: an SMB path or an https URL.
	Source string `json:"source"`
	// Progress, if set, is called with bytes done and bytes in all. It does not
	// cross the wire.
	Progress func(done, total int64) `json:"-"`
}

// EnsureVMRequest is the whole wanted state of a VM.
type EnsureVMRequest struct {
	Stamp Stamp `json:"stamp"`
	// Name is shown to people in the hypervisor's tools; it is never used to find
	// a VM.
	Name string `json:"name"`
	// Owner is "namespace/name" of the API object, for people.
	Owner      string `json:"owner"`
	OS         OS     `json:"os"`
	Processors int32  `json:"processors"`
	MemoryMiB  int64  `json:"memoryMiB"`
	// Disks are the disks in order; the first one is booted from.
	Disks []Disk `json:"disks"`
	NICs  []NIC  `json:"nics"`
	// Seed is the content of the seed DVD. Nil means that there must be none: it
	// is detached and destroyed. The seed lies on the boot disk's volume.
	Seed []byte `json:"seed,omitempty"`
	// KeepSeed leaves a seed that is there as it is, for callers that no longer
	// have its content. Seed must be nil.
	KeepSeed bool  `json:"keepSeed,omitempty"`
	Power    Power `json:"power"`
}

// SetPowerRequest starts or stops a VM.
type SetPowerRequest struct {
	Stamp Stamp `json:"stamp"`
	Power Power `json:"power"`
	// Force turns off without asking the guest.
	Force bool `json:"force,omitempty"`
	// Timeout is how long a guest that was asked to stop gets.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// DeleteVMRequest removes a VM.
type DeleteVMRequest struct {
	Stamp Stamp `json:"stamp"`
}

// VM is a VM as it is.
type VM struct {
	Stamp Stamp  `json:"stamp"`
	Name  string `json:"name"`
	Owner string `json:"owner"`
	// Host is the host it is on now: on a failover cluster, its owner node.
	Host       string       `json:"host"`
	State      State        `json:"state"`
	Processors int32        `json:"processors"`
	MemoryMiB  int64        `json:"memoryMiB"`
	Disks      []DiskStatus `json:"disks"`
	NICs       []NICStatus  `json:"nics"`
	// SeedAttached tells whether a seed DVD is attached or its file exists.
	SeedAttached bool      `json:"seedAttached"`
	Heartbeat    Heartbeat `json:"heartbeat"`
	// Console is what the guest wrote to its console last. A driver gives the lines
	// as they were written, where its host has them; an agent tells only those that
	// explain something, without secrets. Of VMs in a list it tells none.
	Console []string `json:"console,omitempty"`
	// Init is how far the guest's first configuration is. Agents read it from the
	// console; drivers leave it empty, unless their host can tell without.
	Init GuestInit `json:"init,omitzero"`
	// Operation is set while the agent works on the VM.
	Operation *Operation `json:"operation,omitempty"`
}

// DiskStatus is a disk as it is.
type DiskStatus struct {
	Name   string `json:"name"`
	Volume string `json:"volume"`
	Path   string `json:"path"`
	// Bytes is the virtual size, FileBytes what the file takes on its volume.
	Bytes     int64 `json:"bytes"`
	FileBytes int64 `json:"fileBytes"`
}

// NICStatus is a network adapter as it is.
type NICStatus struct {
	MAC string `json:"mac"`
	// Addresses are what the guest reports.
	Addresses []string `json:"addresses,omitempty"`
}

// Operation is long work on an agent.
type Operation struct {
	Ref string `json:"ref"`
	// What says what is being done to which object, for people.
	What    string    `json:"what"`
	Started time.Time `json:"started"`
	// Percent is 0 to 100, or -1 where it is not known.
	Percent int32 `json:"percent"`
	Done    bool  `json:"done"`
	// Err is set when the operation failed.
	Err *Error `json:"err,omitempty"`
}

// Tombstone is a VM that must die.
type Tombstone struct {
	Stamp Stamp  `json:"stamp"`
	Name  string `json:"name"`
}

// Hello is how an agent introduces itself.
type Hello struct {
	// Host is the host's own name.
	Host    string `json:"host"`
	Version string `json:"version"`
	// Protocols are the protocol versions spoken, newest last.
	Protocols []int32 `json:"protocols"`
	// Driver is the name of the driver: hyperv, simulated.
	Driver string `json:"driver"`
	// BootID changes whenever the host was restarted.
	BootID string `json:"bootID"`
	// AwaitingBury tells that VMs are not started until Bury is called.
	AwaitingBury bool `json:"awaitingBury"`
}

// Inventory is what a host has and how it is.
type Inventory struct {
	Host string `json:"host"`
	// HypervisorVersion is the version of the operating system or hypervisor.
	HypervisorVersion string `json:"hypervisorVersion"`
	Processors        int32  `json:"processors"`
	MemoryMiB         int64  `json:"memoryMiB"`
	MemoryFreeMiB     int64  `json:"memoryFreeMiB"`
	// FailoverCluster is the name of the cluster the host is a member of, empty
	// for a stand-alone host.
	FailoverCluster string   `json:"failoverCluster,omitempty"`
	Volumes         []Volume `json:"volumes"`
	Switches        []string `json:"switches"`
	Images          []Image  `json:"images"`
	// VMs is how many VMs with a Capstan stamp the host runs.
	VMs int32 `json:"vms"`
	// BootID changes whenever the host was restarted, and never otherwise. Empty
	// means that the driver cannot tell; then no VM is started after a boot.
	BootID string `json:"bootID,omitempty"`
}

// Volume is a cluster shared volume or, on a stand-alone host, a plain volume.
type Volume struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	// FreeBytes is what is free now; ProvisionedBytes the sum of virtual sizes of
	// all virtual disks on it, which may be more than there is.
	FreeBytes        int64       `json:"freeBytes"`
	ProvisionedBytes int64       `json:"provisionedBytes"`
	Fault            VolumeFault `json:"fault,omitempty"`
}
