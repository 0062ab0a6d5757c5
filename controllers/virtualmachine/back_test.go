package virtualmachine

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// deaf cannot be read from.
type deaf struct{ client.Reader }

func (deaf) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("the API server is away")
}

func (e *estate) lose(name string) {
	var left []capstanv1.HyperVHost
	for _, h := range e.hosts {
		if h.Name != name {
			left = append(left, h)
		}
	}
	e.hosts = left
}

func TestAVMThatIsBackDoesNotDependOnWhereItWasSeen(t *testing.T) {
	declareLost := func(e *estate) { e.become(t, "hv2", func(h *capstanv1.HyperVHost) { h.Spec.Lost = true }) }
	inCluster := func(e *estate, names ...string) {
		for _, name := range names {
			e.become(t, name, func(h *capstanv1.HyperVHost) { h.Status.FailoverCluster = "fc1" })
		}
	}
	for name, tc := range map[string]struct {
		since   func(e *estate)
		cluster string
		asked   bool
		stays   bool
	}{
		"it says that it has none":  {since: func(*estate) {}, asked: true},
		"it has a copy":             {since: func(e *estate) { e.holders["hv2"].vms = []hostapi.VM{heldVM(hostapi.StateOff, "a")} }, asked: true, stays: true},
		"it is silent":              {since: func(e *estate) { e.fallSilent(t, "hv2") }, stays: true},
		"it is declared lost":       {since: declareLost, stays: true},
		"its HyperVHost is deleted": {since: func(e *estate) { e.lose("hv2") }},
		"its HyperVHost is deleted, another node is there": {cluster: "fc1", since: func(e *estate) { inCluster(e, "hv2", "hv3"); e.lose("hv2") }, asked: true},
		"its cluster has no other node":                    {cluster: "fc1", since: func(e *estate) { inCluster(e, "hv2"); e.lose("hv2") }},
		"another host has not said whether it is a node": {
			cluster: "fc1", stays: true,
			since: func(e *estate) {
				e.become(t, "hv3", func(h *capstanv1.HyperVHost) { h.Status.Memory = nil })
				e.lose("hv2")
			},
		},
		"the API server does not answer": {since: func(e *estate) { e.Census.Live = deaf{} }, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			e := newEstate(t, map[string]hostapi.VM{"hv1": heldVM(hostapi.StateRunning, "a")})
			vm := missedVM(capstanv1.VMRunning, seedless, func(vm *capstanv1.VirtualMachine) {
				vm.Status.SeenElsewhere = &capstanv1.VMSighting{Host: "hv2", FailoverCluster: tc.cluster}
			})
			tc.since(e)
			for range 2 {
				g.Expect(e.look(t, vm)).To(BeNil(), "it stands")
				e.pass(time.Minute)
			}
			g.Expect(vm.Status.SeenElsewhere != nil).To(Equal(tc.stays))
			asked := e.holders["hv1"].listed > 0
			g.Expect(asked).To(Equal(tc.asked), "that all hosts are asked")
		})
	}
}
