package placement

import "slices"

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
	// HostLabels must all hold for the labels of the host.
	HostLabels []Requirement
	// Volumes are the only volumes that are taken, if there are any, and
	// ExcludedVolumes are never.
	Volumes, ExcludedVolumes []string
	// Apart makes the rule of Group binding for host and volume: rather no place than
	// one beside another member.
	Apart bool
	// SpreadWeight is how much fuller than a volume with a member of the group, in
	// shares of a volume, another may be and still be taken. It is for workers: the
	// others share a volume only if there is no other.
	SpreadWeight float64
}

// Operator is how a requirement is compared.
type Operator string

// Operators, which mean what they mean in label selectors of Kubernetes.
const (
	In           Operator = "In"
	NotIn        Operator = "NotIn"
	Exists       Operator = "Exists"
	DoesNotExist Operator = "DoesNotExist"
)

// Requirement is something that labels must fulfil.
type Requirement struct {
	Key      string
	Operator Operator
	Values   []string
}

func (r *Requirement) holds(labels map[string]string) bool {
	value, there := labels[r.Key]
	switch r.Operator {
	case In:
		return there && slices.Contains(r.Values, value)
	case NotIn:
		return !there || !slices.Contains(r.Values, value)
	case Exists:
		return there
	case DoesNotExist:
		return !there
	default:
		return false
	}
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
