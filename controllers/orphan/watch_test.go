package orphan

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func TestOnlyAnAdministratorsWordOrAHostThatAnswersAgainBringsASweep(t *testing.T) {
	connected := func(h *capstanv1.HyperVHost) { conditions.True(h, capstanv1.AgentConnectedCondition, "Connected", "") }
	silent := func(h *capstanv1.HyperVHost) {
		conditions.False(h, capstanv1.AgentConnectedCondition, "HostUnreachable", "")
	}
	word := func(h *capstanv1.HyperVHost) {
		h.Annotations = map[string]string{capstanv1.RemoveOrphansAnnotation: "5e0c3f1b8a72"}
	}
	swept := func(h *capstanv1.HyperVHost) { conditions.True(h, capstanv1.FreeOfOrphansCondition, "NoOrphans", "") }
	host := func(with ...func(*capstanv1.HyperVHost)) *capstanv1.HyperVHost {
		h := &capstanv1.HyperVHost{}
		for _, w := range with {
			w(h)
		}
		return h
	}
	for _, tc := range []struct {
		name    string
		was, is *capstanv1.HyperVHost
		after   time.Duration
		sweeps  bool
	}{
		{name: "it was swept", was: host(connected), is: host(connected, swept)},
		{name: "it falls silent", was: host(connected), is: host(silent)},
		{name: "it answers for the first time", was: host(), is: host(connected), after: time.Minute, sweeps: true},
		{name: "it answers again", was: host(silent), is: host(connected), after: time.Minute, sweeps: true},
		{name: "an administrator says something", was: host(connected), is: host(connected, word), sweeps: true},
		{name: "nothing new is said", was: host(connected, word), is: host(connected, word)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			after, sweeps := (&Reconciler{Policy: Policy{AfterArrival: time.Minute}}).bringsSweep(tc.was, tc.is)
			g.Expect(sweeps).To(Equal(tc.sweeps))
			if sweeps {
				g.Expect(after).To(Equal(tc.after))
			}
		})
	}
}
