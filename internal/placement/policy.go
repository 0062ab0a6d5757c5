package placement

// Policy is how full things may get. The zero value of a field stands for its
// default.
type Policy struct {
	// StorageOvercommit is how many bytes of virtual disks a volume takes per byte
	// it has. By default 1: a volume that runs full pauses every VM on it, so
	// promising more than there is must be somebody's decision.
	StorageOvercommit float64
	// FreeReserve is the share of a volume that must be free right now, whatever
	// is provisioned: it covers files that are no virtual disks. By default 0.05.
	FreeReserve float64
	// ProcessorOvercommit is how many virtual processors a host takes per logical
	// processor. By default 8.
	ProcessorOvercommit float64
	// BytesTolerance is the difference in relative fill between volumes that is
	// taken as none, so that the number of disks is evened out as well. By default
	// 0.02.
	BytesTolerance float64
	// NoSpareHost gives out the memory that is otherwise kept free in a failover
	// cluster, so that the VMs of any one host can start on the others.
	NoSpareHost bool
}

// Defaults of Policy.
const (
	DefaultStorageOvercommit   = 1.0
	DefaultFreeReserve         = 0.05
	DefaultProcessorOvercommit = 8.0
	DefaultBytesTolerance      = 0.02
	// DefaultSpreadWeight is what callers give as Request.SpreadWeight if nothing
	// else is asked for.
	DefaultSpreadWeight = 0.1
)

func (p Policy) withDefaults() Policy {
	p.StorageOvercommit = positiveOr(p.StorageOvercommit, DefaultStorageOvercommit)
	p.FreeReserve = positiveOr(p.FreeReserve, DefaultFreeReserve)
	p.ProcessorOvercommit = positiveOr(p.ProcessorOvercommit, DefaultProcessorOvercommit)
	p.BytesTolerance = positiveOr(p.BytesTolerance, DefaultBytesTolerance)
	return p
}

// positiveOr is written so that NaN, which is neither more nor less than
// anything, gives the default.
func positiveOr(v, byDefault float64) float64 {
	if v > 0 {
		return v
	}
	return byDefault
}
