package outage

import "time"

// Timeouts are how long something must be wrong before VMs are replaced for it.
type Timeouts struct {
	// HostLoss is how long neither a host's agent nor a VM on it may be heard of before
	// that counts as lost. Negative is never: then only spec.lost declares it,
	// and what else is reckoned by it is reckoned by its default.
	HostLoss time.Duration
	// VolumeFault is how long a volume may be out of its host's reach.
	VolumeFault time.Duration
	// MissingVM is how long a host must say that it has no such VM. It may look so for a
	// moment while somebody works on it.
	MissingVM time.Duration
	// Hold is for how long repair is held back when most hosts or volumes are gone, from
	// when they first were, whatever came and went since.
	Hold time.Duration
}

// Defaults of Timeouts. A failover cluster waits for four minutes before it takes over
// the VMs of a node, which boot then; and Cluster API replaces what is not ready for ten
// minutes whatever is known of its host, so a loss must be known before.
const (
	DefaultHostLossTimeout    = 8 * time.Minute
	DefaultVolumeFaultTimeout = 3 * time.Minute
	DefaultMissingVMTimeout   = time.Minute
	DefaultHold               = 30 * time.Minute
)

func (t Timeouts) withDefaults() Timeouts {
	for _, of := range []struct {
		is       *time.Duration
		fallback time.Duration
	}{{&t.HostLoss, DefaultHostLossTimeout}, {&t.VolumeFault, DefaultVolumeFaultTimeout}, {&t.MissingVM, DefaultMissingVMTimeout}, {&t.Hold, DefaultHold}} {
		if *of.is == 0 {
			*of.is = of.fallback
		}
	}
	return t
}

// Restart is how long a host, or the guests on it, may take until they are back to work.
// That nobody presumes a loss does not make them faster.
func (t Timeouts) Restart() time.Duration {
	if t.HostLoss <= 0 {
		return DefaultHostLossTimeout
	}
	return t.HostLoss
}

// LostAt tells when what nobody has heard of since then counts as lost, if it ever does.
func (t Timeouts) LostAt(since time.Time) (due time.Time, ever bool) {
	return since.Add(t.HostLoss), t.HostLoss > 0
}
