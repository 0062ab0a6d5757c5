package hypervmachine

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/outage"
)

// evidence is what it is judged by whether a machine must be replaced: what was observed
// of it, and never what could not be.
type evidence struct {
	machine *clusterv1.Machine
	cluster *clusterv1.Cluster
	vm      *capstanv1.VirtualMachine
	hosts   []capstanv1.HyperVHost
	now     time.Time
	// watched is since when this manager looks, and timeouts are how long it does before
	// it acts.
	watched  time.Time
	timeouts outage.Timeouts
	// hold is what keeps all machines from being replaced, or nil. If that is over, over is
	// since when.
	hold *outage.Hold
	over time.Time
	// fault is what was found the last time.
	fault *infrav1.MachineFault
}

// cause is why a machine must be replaced.
type cause struct {
	// reason is told in conditions, and is the value of the annotation that asks for the
	// replacement, by which it is known who asked.
	reason string
	// message says what is wrong. It is empty where the VirtualMachine tells it itself.
	message string
	// status is that of Ready: False, or Unknown where nobody can tell how the VM is.
	status metav1.ConditionStatus
	// since is since when this is so, and due when the machine is to be replaced if nothing
	// changes. It is to be replaced at once if due is zero.
	since, due time.Time
	// declared tells that a person has said so, who knows what else there is to know:
	// nothing holds that back. presumed tells that nobody knows what became of the VM.
	declared, presumed bool
	// lingers tells that the guest may go on for a while, as far as the cause goes.
	lingers bool
	// denied is what speaks against the cause: it is not due as long as that is so.
	denied string
	// remedy is what else would help where Cluster API cannot.
	remedy string
}

// causes are the rules by which a machine with which something is wrong is replaced, the
// weightiest first: the first that holds counts. None of them asks anybody for anything.
// That somebody wants another machine in place of one that is well is no cause.
var causes = []func(*evidence) *cause{
	declaredLost,
	presumedLost,
	faultedVolume,
	missingVM,
}

// asks are the reasons under which this controller asks for a replacement. It takes back
// what bears one of them, and nothing else.
var asks = []string{
	capstanv1.ReasonHostLost, capstanv1.ReasonVolumeFault, capstanv1.ReasonVMNotFound,
}

func isOwnAsk(value string) bool { return slices.Contains(asks, value) }

// causeOf returns why a machine must be replaced, now or later, or nil.
func causeOf(e *evidence) *cause {
	for _, rule := range causes {
		if c := rule(e); c != nil {
			return c
		}
	}
	return nil
}

// declaredLost is the administrator's word.
func declaredLost(e *evidence) *cause {
	if !e.vm.IsOnLostHost(e.hosts) {
		return nil
	}
	return &cause{
		reason: capstanv1.ReasonHostLost, status: metav1.ConditionUnknown, declared: true,
		remedy: "bring the host back and set its spec.lost to false",
	}
}

// missingVM is for a VM that its host, or all of its failover cluster, says is not there
// any more, nor anywhere else, and that is not made again: what it had on its disks is
// gone. As long as its node is ready it runs, wherever that is.
func missingVM(e *evidence) *cause {
	ready := conditions.Get(e.vm, capstanv1.ReadyCondition)
	if ready == nil || ready.Status != metav1.ConditionFalse || ready.Reason != capstanv1.ReasonVMNotFound {
		return nil
	}
	since := e.foundSince(ready.Reason)
	c := &cause{reason: ready.Reason, status: ready.Status, since: since, due: e.after(since, e.timeouts.MissingVM), remedy: "make it anew"}
	if isNodeReady(e.machine, e.cluster) && !c.due.After(e.now) {
		c.due = e.now.Add(pollRepair)
		c.denied = "its node is ready all the same, so the VM runs, maybe on a host that has no HyperVHost: the machine is replaced once the node is not ready"
	}
	return c
}

// isDue tells whether there is a cause to replace the machine now.
func (c *cause) isDue(now time.Time) bool { return c != nil && !c.due.After(now) }

// heldBy is what keeps a machine from being replaced for a cause, or nil.
func (c *cause) heldBy(e *evidence) *outage.Hold {
	if c == nil || c.declared {
		return nil
	}
	return e.hold
}

// waits tells what becomes of a machine that is not replaced yet.
func (c *cause) waits() string {
	if c.denied != "" {
		return c.says(c.denied)
	}
	return c.says(fmt.Sprintf("the machine is replaced at %s unless that ends before", conditions.ClockTime(c.due)))
}

// says puts what is wrong before what is done about it.
func (c *cause) says(what string) string {
	switch {
	case c.message == "":
		return what
	case c.since.IsZero():
		return c.message + "; " + what
	}
	return fmt.Sprintf("%s, since %s; %s", c.message, conditions.ClockTime(c.since), what)
}
