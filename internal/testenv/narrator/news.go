package narrator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// passing is for how long a VM or load balancer may be on its way before that is
// news. There are many, and the way of each is the same.
const passing = 8 * time.Second

// news is what was said of each object, so that only what is new is said.
type news struct {
	told map[string]string
	// passes are the states that may pass by themselves, and since when.
	passes map[string]pass
}

type pass struct {
	state string
	since time.Time
}

func newNews() *news { return &news{told: map[string]string{}, passes: map[string]pass{}} }

// of says what is different from what was said before, a line for each object.
func (n *news) of(p Picture, now time.Time) []string {
	var lines []string
	present := map[string]bool{}
	for _, object := range p.ours() {
		name := describe(object)
		present[name] = true
		ready := demoenv.ReadyOf(object)
		state := stateOf(object, ready)
		if state == demoenv.ReasonNotObserved || n.told[name] == state || n.mayPass(object, name, state, now) {
			continue
		}
		n.told[name] = state
		lines = append(lines, line(name, state, ready))
	}
	var gone []string
	for name := range n.told {
		if !present[name] {
			gone = append(gone, name)
			delete(n.told, name)
			delete(n.passes, name)
		}
	}
	slices.Sort(gone)
	for _, name := range gone {
		lines = append(lines, line(name, "gone", metav1.Condition{}))
	}
	return lines
}

// mayPass tells whether a state is not worth a line yet.
func (n *news) mayPass(object client.Object, name, state string, now time.Time) bool {
	switch object.(type) {
	case *capstanv1.VirtualMachine, *capstanv1.LoadBalancer:
	default:
		return false
	}
	if state == capstanv1.ReasonReady {
		delete(n.passes, name)
		return false
	}
	if n.passes[name].state != state {
		n.passes[name] = pass{state, now}
	}
	return now.Sub(n.passes[name].since) < passing
}

func stateOf(object client.Object, ready metav1.Condition) string {
	if object.GetDeletionTimestamp() != nil {
		return capstanv1.ReasonDeleting
	}
	if ready.Status == metav1.ConditionTrue {
		return capstanv1.ReasonReady
	}
	return ready.Reason
}

const longestMessage = 100

func line(name, state string, ready metav1.Condition) string {
	text := fmt.Sprintf("%-44s %s", name, state)
	if state != capstanv1.ReasonReady && state != capstanv1.ReasonDeleting && ready.Message != "" {
		// The time stands at the beginning of the line.
		spoken, _, _ := strings.Cut(ready.Message, ", since ")
		message := []rune(strings.Join(strings.Fields(spoken), " "))
		if len(message) > longestMessage {
			message = append(message[:longestMessage-1], '…')
		}
		text += ": " + string(message)
	}
	return text
}

// describe names an object, with its namespace unless that is the default one.
func describe(object client.Object) string {
	kind := "VirtualMachine"
	switch object.(type) {
	case *capstanv1.WorkloadCluster:
		kind = "WorkloadCluster"
	case *capstanv1.NodePool:
		kind = "NodePool"
	case *capstanv1.LoadBalancer:
		kind = "LoadBalancer"
	case *capstanv1.HyperVHost:
		kind = "HyperVHost"
	}
	name := object.GetName()
	if ns := object.GetNamespace(); ns != "" && ns != metav1.NamespaceDefault {
		name = ns + "/" + name
	}
	return kind + " " + name
}
