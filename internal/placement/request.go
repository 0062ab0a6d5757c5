package placement

// Role is what a VM is for.
type Role string

// Roles of VMs.
const (
	ControlPlane Role = "ControlPlane"
	LoadBalancer Role = "LoadBalancer"
	Worker       Role = "Worker"
)

// oneVolume tells whether all disks of the VM go to one volume. It holds for
// members of a quorum or of a failover pair: a VM on two volumes dies with either
// of them, so two such VMs could be hit by one fault.
func (r Role) oneVolume() bool { return r == ControlPlane || r == LoadBalancer }

// Request is one VM that wants a place.
type Request struct {
	// VM is the identity of the VM. If the snapshot has a placement of the same
	// VM, that is not counted: a VM never stands in its own way.
	VM string
	// Group holds VMs apart: those with the same group avoid each other's failure
	// domain, host and volume as long as there is another. Empty for none.
	Group string
	Role  Role

	Processors int32
	MemoryMiB  int64
	// Disks are the disks in order, the boot disk first. At least one is required.
	Disks []Disk
	// Switches are the virtual switches that the host must have.
	Switches []string
	// FailureDomain is binding if it is set.
	FailureDomain string
	// Avoid are hosts that are taken only if no other fits.
	Avoid []string
}

// Disk is one disk that wants a place.
type Disk struct {
	Name string
	// Bytes is the virtual size.
	Bytes int64
	// Image is the parent of a differencing disk, nil for a disk of its own.
	Image *Image
}

// Image is the parent of a differencing disk. It must be on the disk's volume.
type Image struct {
	// SHA256 is the identity of the image.
	SHA256 string
	// Bytes is what staging it takes on a volume.
	Bytes int64
	// Stageable tells that it can be brought to a volume that does not have it.
	Stageable bool
}

// Decision is the place of a VM.
type Decision struct {
	VM            string
	Host          string
	FailureDomain string
	// Disks are in the order of the request.
	Disks []DiskPlace
	// Trace tells why here and why not there. It is nil unless it was asked for.
	Trace *Trace
}

// DiskPlace is the place of a disk.
type DiskPlace struct {
	Name   string
	Volume string
	Bytes  int64
	// StageImage tells that the disk's image must be brought to the volume first.
	StageImage bool
}
