package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/engine"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

func TestAPeerIsSilentOnlyWhenItIsNotHeardAgainAndAgain(t *testing.T) {
	plan := newPlan()
	plan.Peers = append(plan.Peers, lbapi.Peer{Name: "lb-1", Address: "192.0.2.3", Priority: 90})
	there := lbapi.PeerStatus{Name: "lb-1", Address: "192.0.2.3"}
	silent := there
	silent.Silent = true
	for name, tt := range map[string]struct {
		// looks are what was heard: + for somebody, - for nobody, ? for what could not be told.
		looks string
		want  []lbapi.PeerStatus
	}{
		"nobody has listened yet":     {"", nil},
		"it is heard":                 {"+", []lbapi.PeerStatus{there}},
		"it is slow, or boots":        {"+--", []lbapi.PeerStatus{there}},
		"it is gone":                  {"+---", []lbapi.PeerStatus{silent}},
		"it was never there":          {"---", []lbapi.PeerStatus{silent}},
		"nothing is known of it yet":  {"--", nil},
		"it is back":                  {"-----+", []lbapi.PeerStatus{there}},
		"it is heard now and then":    {"--+--+--", []lbapi.PeerStatus{there}},
		"this VM's own network fails": {"---?", nil},
		"and is back":                 {"---?--", nil},
	} {
		t.Run(name, func(t *testing.T) {
			g, w := NewWithT(t), newWorld()
			var look byte
			var asked []string
			ears := engine.NewEars(func(_ context.Context, address string) (bool, error) {
				asked = append(asked, address)
				if look == '?' {
					return false, errors.New("network is down")
				}
				return look == '+', nil
			}, w)
			told := ears.Of(plan)
			for i := range len(tt.looks) {
				look = tt.looks[i]
				g.Expect(ears.Listen(t.Context(), plan)).To(Equal(!equal(told, ears.Of(plan))), "whether there is news")
				told = ears.Of(plan)
			}
			g.Expect(told).To(Equal(tt.want))
			g.Expect(asked).To(HaveLen(len(tt.looks)), "it does not listen for itself")
		})
	}
}

func equal(a, b []lbapi.PeerStatus) bool {
	return len(a) == len(b) && (len(a) == 0 || a[0] == b[0])
}

func TestWhatWasHeardOfAPeerIsNotToldOfWhoHasItsAddressNow(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	plan := newPlan()
	plan.Peers = append(plan.Peers, lbapi.Peer{Name: "lb-1", Address: "192.0.2.3", Priority: 90})
	ears := engine.NewEars(func(context.Context, string) (bool, error) { return false, nil }, w)
	for range 3 {
		ears.Listen(t.Context(), plan)
	}
	g.Expect(ears.Of(plan)).To(HaveLen(1))
	plan.Peers[1].Name = "lb-2"
	g.Expect(ears.Of(plan)).To(BeEmpty())
}

func TestAnEngineTellsWhomItHears(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	e := engine.New(engine.Options{
		Balancer: balancer{part{w, "HAProxy"}}, Router: router{part{w, "keepalived"}}, Held: w.addresses, Clock: w, Log: slog.New(slog.DiscardHandler),
		Hears: func(context.Context, string) (bool, error) { return true, nil },
	})
	plan := newPlan()
	plan.Peers = append(plan.Peers, lbapi.Peer{Name: "lb-1", Address: "192.0.2.3", Priority: 90})
	g.Expect(e.Apply(t.Context(), plan)).To(Succeed())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	waits := make(chan struct{})
	go func() {
		defer close(waits)
		for {
			select {
			case wait := <-w.waits:
				wait <- time.Time{}
			case <-done:
				return
			}
		}
	}()
	g.Eventually(func() []lbapi.PeerStatus {
		seen, _ := e.Observe()
		return seen.Peers
	}).Should(Equal([]lbapi.PeerStatus{{Name: "lb-1", Address: "192.0.2.3"}}))
	cancel()
	<-waits
}

func TestWhoRefusesIsThere(t *testing.T) {
	g := NewWithT(t)
	// Nobody listens there, and a kernel says so.
	g.Expect(engine.Answers(t.Context(), "127.0.0.1")).To(BeTrue())
	// What could not even be tried tells nothing.
	_, err := engine.Answers(t.Context(), "224.0.0.1")
	g.Expect(err).To(BeAssignableToTypeOf(&net.OpError{}))
}
