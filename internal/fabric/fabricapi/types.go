package fabricapi

// Stamp is an owner's mark on a VM, a file or a role. Things that other people
// made bear none.
type Stamp struct {
	Installation string `json:"installation"`
	ID           string `json:"id"`
}

// State is the state of a VM.
type State string

// States of a VM.
const (
	Off      State = "Off"
	Running  State = "Running"
	Stopping State = "Stopping"
	// Critical: the VM lost its storage and is paused until that comes back.
	Critical State = "Critical"
	// Lost: the node that owned the VM is down and its failover cluster has not
	// brought the VM up elsewhere yet.
	Lost State = "Lost"
)

// Heartbeat is what the host hears of a guest's integration services.
type Heartbeat string

// Heartbeats of a guest.
const (
	HeartbeatNone Heartbeat = ""
	HeartbeatOK   Heartbeat = "OK"
	HeartbeatLost Heartbeat = "Lost"
)

// FaultState is what is wrong with a volume.
// Source: MSCluster_ClusterSharedVolume.FaultState.
type FaultState string

// Faults of a volume.
const (
	Healthy     FaultState = ""
	Redirected  FaultState = "Redirected"
	Maintenance FaultState = "Maintenance"
	NoAccess    FaultState = "NoAccess"
	Dismounted  FaultState = "Dismounted"
)

// Usable tells whether files on a volume of this fault can be read and written.
func (f FaultState) Usable() bool { return f == Healthy || f == Redirected }

// FileKind is what a file holds.
type FileKind string

// Kinds of files.
const (
	VHDX FileKind = "VHDX"
	ISO  FileKind = "ISO"
	// Hosts with a fake Hyper-V have others, too.
	OtherFile FileKind = "File"
	Folder    FileKind = "Folder"
)

// FileRef names a file: a volume, and a path on it.
type FileRef struct {
	Volume string `json:"volume"`
	Path   string `json:"path"`
}

// File is a file on a volume.
type File struct {
	FileRef
	// ID is never used twice, even for the same path.
	ID   string   `json:"id"`
	Kind FileKind `json:"kind"`
	// FullPath is how people on the host see it.
	FullPath string `json:"fullPath"`
	// Label is a name for people; Stamp the owner's mark. Both lie in the file's
	// own metadata, written by the call that creates it.
	Label string `json:"label,omitempty"`
	Stamp *Stamp `json:"stamp,omitempty"`
	// FileBytes is what the file takes, VirtualBytes the size of the disk in it.
	FileBytes    int64 `json:"fileBytes"`
	VirtualBytes int64 `json:"virtualBytes,omitempty"`
	ReadOnly     bool  `json:"readOnly,omitempty"`
	// Parent is the path of the parent of a differencing disk, on the same volume.
	Parent string `json:"parent,omitempty"`
	// Image is set on a copy of a published image.
	Image *ImageInfo `json:"image,omitempty"`
	// Checksum is that of an ISO, which is small enough to be told at once.
	Checksum string `json:"checksum,omitempty"`
}

// ImageFault is what does not work in an image.
type ImageFault string

// Faults of images.
const (
	ImageSound ImageFault = ""
	// ImageNoContainerd: containerd does not start, so kubeadm refuses to run.
	ImageNoContainerd ImageFault = "NoContainerd"
	// ImageNoNetwork: the guest never has an address.
	ImageNoNetwork ImageFault = "NoNetwork"
)

// ImageInfo is what is in an image, whole or partly copied.
type ImageInfo struct {
	// Of is the checksum of the whole source that was copied from.
	Of                string `json:"of"`
	TotalBytes        int64  `json:"totalBytes"`
	VirtualBytes      int64  `json:"virtualBytes"`
	OS                string `json:"os"`
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// Fault is what does not work in it.
	Fault ImageFault `json:"fault,omitempty"`
}

// PublishedImage is an image at a source that hosts can copy from.
type PublishedImage struct {
	// Source is an SMB path or an https URL.
	Source            string `json:"source"`
	SHA256            string `json:"sha256"`
	FileBytes         int64  `json:"fileBytes"`
	VirtualBytes      int64  `json:"virtualBytes"`
	OS                string `json:"os"`
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// Fault is what does not work in it.
	Fault ImageFault `json:"fault,omitempty"`
}

// SecureBootTemplate says whose boot loaders the firmware of a VM starts.
type SecureBootTemplate string

// Secure boot templates, by the identifiers that Hyper-V has for them.
const (
	// SecureBootWindows is what a VM has that was told nothing else.
	SecureBootWindows SecureBootTemplate = "1734c6e8-3154-4dda-ba5f-a874cc483422"
	// SecureBootUEFI is for boot loaders that Microsoft has signed for others, such
	// as those of Linux distributions.
	SecureBootUEFI SecureBootTemplate = "272e7447-90a4-4563-a4b9-8e4ab00526ce"
)

// NIC is a network adapter of a VM.
type NIC struct {
	Switch string `json:"switch"`
	VLAN   int32  `json:"vlan,omitempty"`
	MAC    string `json:"mac"`
	// Addresses are what the guest reports.
	Addresses []string `json:"addresses,omitempty"`
}

// VM is a generation 2 VM.
type VM struct {
	// GUID is the hypervisor's own identity of the VM.
	GUID string `json:"guid"`
	// Name is for people. Two VMs may have the same.
	Name  string `json:"name"`
	Stamp *Stamp `json:"stamp,omitempty"`
	// Notes are free text in the VM's configuration.
	Notes string `json:"notes,omitempty"`
	// ConfigVolume is where the configuration lies.
	ConfigVolume string `json:"configVolume"`
	// Role is the clustered role the VM belongs to, if it does.
	Role string `json:"role,omitempty"`
	// Host is the owner node.
	Host       string `json:"host"`
	State      State  `json:"state"`
	Processors int32  `json:"processors"`
	MemoryMiB  int64  `json:"memoryMiB"`
	// SecureBoot is heeded when the VM is switched on.
	SecureBoot SecureBootTemplate `json:"secureBoot,omitempty"`
	Disks      []FileRef          `json:"disks,omitempty"`
	NICs       []NIC              `json:"nics,omitempty"`
	// ISO is in the DVD drive, if anything is.
	ISO       *FileRef  `json:"iso,omitempty"`
	Heartbeat Heartbeat `json:"heartbeat,omitempty"`
	// Console is the last lines the guest wrote.
	Console []string `json:"console,omitempty"`
}

// Role is a cluster-wide claim to a name: a clustered role or, on a stand-alone
// host, a key in its registry. It outlives VM and disks, and needs no volume.
type Role struct {
	Name  string `json:"name"`
	Stamp *Stamp `json:"stamp,omitempty"`
	// Node owns the role and whatever is in it.
	Node string `json:"node"`
	// Volumes are those on which the claimant keeps files.
	Volumes []string `json:"volumes,omitempty"`
}

// Volume is a cluster shared volume or a stand-alone host's own volume.
type Volume struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	// FreeBytes is what is free, ProvisionedBytes the sum of the virtual sizes of
	// all virtual disks on it. Both are zero while the volume cannot be read.
	FreeBytes        int64      `json:"freeBytes"`
	ProvisionedBytes int64      `json:"provisionedBytes"`
	Fault            FaultState `json:"fault,omitempty"`
}

// Host is a host as it describes itself.
type Host struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// BootID changes with every boot of the host.
	BootID        string `json:"bootID"`
	Processors    int32  `json:"processors"`
	MemoryMiB     int64  `json:"memoryMiB"`
	MemoryFreeMiB int64  `json:"memoryFreeMiB"`
	// FailoverCluster is empty for a stand-alone host.
	FailoverCluster string   `json:"failoverCluster,omitempty"`
	Switches        []string `json:"switches"`
	Volumes         []Volume `json:"volumes"`
}
