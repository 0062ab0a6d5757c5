package hypervmachine

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// evidence is what it is judged by whether a machine must be replaced: what was observed
// of it, and never what could not be.
type evidence struct {
	machine *clusterv1.Machine
	cluster *clusterv1.Cluster
	vm      *capstanv1.VirtualMachine
	hosts   []capstanv1.HyperVHost
	now     time.Time
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
	// remedy is what else would help where Cluster API cannot.
	remedy string
}

// causes are the rules by which a machine with which something is wrong is replaced, the
// weightiest first: the first that holds counts. None of them asks anybody for anything.
// That somebody wants another machine in place of one that is well is no cause.
var causes = []func(*evidence) *cause{
	declaredLost,
}

// asks are the reasons under which this controller asks for a replacement. It takes back
// what bears one of them, and nothing else.
var asks = []string{
	capstanv1.ReasonHostLost,
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
		reason: capstanv1.ReasonHostLost, status: metav1.ConditionUnknown,
		remedy: "bring the host back and set its spec.lost to false",
	}
}

// waits tells what becomes of a machine that is not replaced yet.
func (c *cause) waits() string {
	return c.says(fmt.Sprintf("the machine is replaced at %s unless that ends before", clockTime(c.due)))
}

// says puts what is wrong before what is done about it.
func (c *cause) says(what string) string {
	switch {
	case c.message == "":
		return what
	case c.since.IsZero():
		return c.message + "; " + what
	}
	return fmt.Sprintf("%s, since %s; %s", c.message, clockTime(c.since), what)
}

func clockTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
