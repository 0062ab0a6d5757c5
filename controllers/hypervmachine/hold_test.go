package hypervmachine

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// states are how hosts are, hv1 first.
type states []func(*capstanv1.HyperVHost)

func fleet(hosts states) []capstanv1.HyperVHost {
	var all []capstanv1.HyperVHost
	for i, how := range hosts {
		all = append(all, hostWith(fmt.Sprintf("hv%d", i+1), how))
	}
	return all
}

func TestRepairIsHeldWhileMostIsGone(t *testing.T) {
	long := answering(ago(time.Hour))
	lost := func(h *capstanv1.HyperVHost) { silent(ago(time.Minute))(h); h.Spec.Lost = true }
	never := func(h *capstanv1.HyperVHost) { h.Status.Memory = nil; silent(ago(time.Minute))(h) }
	for name, tc := range map[string]struct {
		hosts []capstanv1.HyperVHost
		until time.Duration
		says  string
	}{
		"all are well":           {hosts: fleet(states{long, long, long})},
		"one of three is silent": {hosts: fleet(states{long, long, silent(ago(time.Minute))})},
		"one of two is silent":   {hosts: fleet(states{long, silent(ago(time.Minute))})},
		"two of three are silent": {
			hosts: fleet(states{long, silent(ago(20 * time.Minute)), silent(ago(10 * time.Minute))}), until: 20 * time.Minute, says: "2 of 3 hosts do not answer",
		},
		"they are silent for so long that it is let go": {hosts: fleet(states{long, silent(ago(time.Hour)), silent(ago(30 * time.Minute))})},
		"the administrator has declared them lost":      {hosts: fleet(states{long, lost, lost})},
		"hosts that have never answered do not count":   {hosts: fleet(states{long, never, never})},
		"most have come back only now": {
			hosts: fleet(states{answering(ago(2 * time.Minute)), answering(ago(3 * time.Minute)), silent(ago(40 * time.Minute))}), until: 6 * time.Minute, says: "have come back only now",
		},
		"all have come back only now": {hosts: fleet(states{answering(ago(time.Minute)), answering(ago(time.Minute))})},
		"one of two volumes is faulty": {
			hosts: fleet(states{func(h *capstanv1.HyperVHost) { long(h); faulty("NoAccess", ago(time.Minute))(h) }, long}),
		},
		"two of three volumes are faulty": {
			hosts: fleet(states{
				func(h *capstanv1.HyperVHost) { long(h); faulty("NoAccess", ago(time.Minute))(h) },
				func(h *capstanv1.HyperVHost) { long(h); faulty("Dismounted", ago(5*time.Minute))(h) }, long,
			}), until: 29 * time.Minute, says: "2 of 3 volumes cannot be read",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			h := holdOf(ofVM(tc.hosts...))
			if tc.says == "" {
				g.Expect(h).To(BeNil())
				return
			}
			g.Expect(h).NotTo(BeNil())
			g.Expect(h.until).To(Equal(noon.Add(tc.until)))
			g.Expect(h.String()).To(And(ContainSubstring(tc.says), ContainSubstring(clockTime(h.until))))
		})
	}
}

func TestAManagerThatHasJustBegunHoldsRepairForAllOfItsTime(t *testing.T) {
	g := NewWithT(t)
	e := ofVM(fleet(states{silent(ago(48 * time.Hour)), silent(ago(48 * time.Hour))})...)
	e.watched = ago(time.Minute)
	g.Expect(holdOf(e).until).To(Equal(noon.Add(29 * time.Minute)))
}
