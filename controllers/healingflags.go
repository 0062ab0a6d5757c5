package controllers

import (
	"errors"
	"flag"
	"time"
)

func (o *Options) addHealingFlags(flags *flag.FlagSet) {
	h := &o.Healing
	flags.Var(timeout{of: &h.HostLoss, never: true}, "host-loss-timeout",
		"`duration` for which neither a host nor the node of a machine on it may be heard of before the machine is replaced, and in place of the node the peer of a load balancer's VM; for which the other hosts of a VM that is missing are awaited; and for which a host counts as back only now. Longer than a failover cluster takes to restart VMs elsewhere (4 minutes, and their boot), and than a host takes to boot; negative for never, so that only spec.lost declares a loss, and a host counts as back only now for the default")
	flags.Var(timeout{of: &h.VolumeFault}, "volume-fault-timeout",
		"`duration` for which a host may report that it cannot read a volume before the machines with a disk on it are replaced")
	flags.Var(timeout{of: &h.MissingVM}, "missing-vm-timeout",
		"`duration` for which a host, or all of its failover cluster, must say that it has no such VM before the machine is replaced")
	flags.Var(timeout{of: &h.Hold}, "repair-hold",
		"`duration` for which no machine is replaced when more than half of all hosts, or of all volumes, are gone at once, from when they first were")
}

// timeout is a flag for how long something is waited for. None at all would act on what is
// wrong for a moment, and is refused in place of being taken for the default.
type timeout struct {
	of *time.Duration
	// never tells that a negative one is for never.
	never bool
}

func (t timeout) String() string {
	if t.of == nil {
		return ""
	}
	return t.of.String()
}

// Set takes a duration.
func (t timeout) Set(value string) error {
	d, err := time.ParseDuration(value)
	switch {
	case err != nil:
		return errors.New("must be a duration such as 90s or 8m")
	case d == 0 && t.never:
		return errors.New("must be above 0, or negative for never")
	case d <= 0 && !t.never:
		return errors.New("must be above 0")
	}
	*t.of = d
	return nil
}
