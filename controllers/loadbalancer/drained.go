package loadbalancer

import (
	"strings"
	"time"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// pollHold is how often a VM is looked at that stays on a drained host in an outage, which
// may be over before its time.
const pollHold = 30 * time.Second

// drainedUnder is the name of the host that a VM is on if that is being drained, or "".
// One that a failover cluster has moved away stays where it is.
func drainedUnder(vm *capstanv1.VirtualMachine, hosts []capstanv1.HyperVHost) string {
	for i := range hosts {
		if host := &hosts[i]; host.IsDraining() && host.Name == hostOf(vm) {
			return host.Name
		}
	}
	return ""
}

// isOutdated tells a VM that is to give way to another, though nothing is wrong with it.
func (c *candidate) isOutdated() bool { return len(c.changed) > 0 || c.drained != "" }

// givesWay tells whether it does so now. While most of what there is is gone nobody
// replaces what is well.
func (c *candidate) givesWay() bool {
	return len(c.changed) > 0 || c.drained != "" && c.drainHeld == ""
}

// whyOutdated says why.
func (c *candidate) whyOutdated() string {
	var why []string
	if len(c.changed) > 0 {
		why = append(why, strings.Join(c.changed, ", ")+" changed")
	}
	if c.drained != "" {
		why = append(why, "host "+c.drained+" is being drained")
	}
	return strings.Join(why, " and ")
}
