package orphan

import (
	"flag"
	"fmt"
	"time"

	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Removal is what is removed without an administrator's word.
type Removal string

// Kinds of removal. What an administrator acknowledges is removed as well, but for
// RemoveNothing.
const (
	// RemoveNothing only reports.
	RemoveNothing Removal = "nothing"
	// RemoveRemnants removes what cannot run: disks and seeds without a VM, and VMs that
	// were never finished.
	RemoveRemnants Removal = "remnants"
	// RemoveAll removes whole VMs, too.
	RemoveAll Removal = "all"
)

var _ flag.Value = new(Removal)

// Set implements flag.Value.
func (r *Removal) Set(value string) error {
	switch removal := Removal(value); removal {
	case RemoveNothing, RemoveRemnants, RemoveAll:
		*r = removal
		return nil
	}
	return fmt.Errorf("must be %s, %s or %s", RemoveNothing, RemoveRemnants, RemoveAll)
}

// String implements flag.Value.
func (r *Removal) String() string { return string(*r) }

// Policy is what an administrator says of orphans.
type Policy struct {
	// Interval is how often all hosts are swept. Zero is never.
	Interval time.Duration
	// AfterArrival is how soon there is a sweep after a host has come. When a manager starts
	// all of them come within seconds, and one sweep is enough.
	AfterArrival time.Duration
	// Grace is how long an orphan is left alone after it was found.
	Grace time.Duration
	// Removal is what is removed without being acknowledged.
	Removal Removal
	// FreezeAbove and FreezeShare are how many orphans there may be, as a number and as a
	// part of all that the hosts hold. If there are more by both, none is removed.
	FreezeAbove int
	FreezeShare float64
}

// DefaultPolicy removes remnants by itself and asks before it removes a whole VM. That
// there is no object for a VM is also how it looks when the management cluster was
// restored from a backup older than the VM, or when its cluster was moved to another
// management cluster: then the VM is a member of a cluster that works, perhaps one that
// etcd cannot lose. What is left of a VM is never that.
func DefaultPolicy() Policy {
	return Policy{
		Interval: 5 * time.Minute, AfterArrival: 10 * time.Second, Grace: 15 * time.Minute,
		Removal: RemoveRemnants, FreezeAbove: 3, FreezeShare: 0.1,
	}
}

// covers tells whether an orphan may be removed without being acknowledged.
func (p Policy) covers(vm *hostapi.VM) bool {
	return p.Removal == RemoveAll || p.Removal == RemoveRemnants && census.IsRemnant(vm)
}

// tooMany tells whether there are more orphans than there ever should be at once.
func (p Policy) tooMany(orphans, held int) bool {
	return orphans > p.FreezeAbove && float64(orphans) > p.FreezeShare*float64(held)
}
