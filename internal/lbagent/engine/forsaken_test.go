package engine_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/testenv/logtest"
)

func TestConnectionsEndToServersThatAreSilentForTooLong(t *testing.T) {
	var (
		up      = haproxy.ServerStat{Health: lbapi.HealthUp, Sessions: 1}
		refuses = haproxy.ServerStat{Health: lbapi.HealthDown, Sessions: 1}
		unasked = haproxy.ServerStat{Health: lbapi.HealthUnknown}
		silent  = haproxy.ServerStat{Health: lbapi.HealthDown, Sessions: 1, Silent: true}
		slow    = haproxy.ServerStat{Health: lbapi.HealthUp, Sessions: 1, Silent: true}
		idle    = haproxy.ServerStat{Health: lbapi.HealthDown, Silent: true}
	)
	for name, tt := range map[string]struct {
		// a is how the first server is at each second, and b how the other one is.
		a    []haproxy.ServerStat
		b    haproxy.ServerStat
		want bool
	}{
		"it is silent for too long":                   {repeat(silent, 11), up, true},
		"it has been silent for less":                 {repeat(silent, 10), up, false},
		"it was silent before it was found to be":     {append(repeat(slow, 4), repeat(silent, 7)...), up, true},
		"its checks may still go well":                {repeat(slow, 20), up, false},
		"it was heard meanwhile":                      {append(append(repeat(silent, 6), refuses), repeat(silent, 10)...), up, false},
		"it refuses":                                  {repeat(refuses, 20), up, false},
		"it has no connections":                       {repeat(idle, 20), up, false},
		"the other one refuses, and so is heard":      {repeat(silent, 11), refuses, true},
		"the other one is silent, too":                {repeat(silent, 20), silent, false},
		"the other one is silent, and not down yet":   {repeat(silent, 20), slow, false},
		"the other one was not asked, or has no work": {repeat(silent, 20), unasked, false},
	} {
		t.Run(name, func(t *testing.T) {
			g, w := NewWithT(t), newWorld()
			w.stats[id("a")], w.stats[id("b")] = tt.a[0], tt.b
			// Of another backend, which says nothing of this one.
			w.stats[haproxy.ID{Backend: "be:other", Name: "s:a"}] = up
			_, tick := watched(t, w)
			for _, next := range tt.a[1:] {
				w.set(func(w *world) { w.stats[id("a")] = next })
				tick()
			}
			did := func() (did []string) {
				w.set(func(w *world) { did = w.did[4:] })
				return did
			}
			if !tt.want {
				w.stop()
				g.Expect(did()).To(BeEmpty())
				return
			}
			g.Eventually(did).Should(HaveExactElements("cut [" + id("a").String() + "]"))
			w.set(func(w *world) { w.stats[id("a")] = idle })
			tick()
			tick()
			w.stop()
			g.Expect(did()).To(HaveLen(1), "once")
		})
	}
}

func TestConnectionsThatCouldNotBeEndedAreTriedAgain(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	w.stats[id("a")] = haproxy.ServerStat{Health: lbapi.HealthDown, Sessions: 1, Silent: true}
	w.stats[id("b")] = haproxy.ServerStat{Health: lbapi.HealthUp}
	w.refuses = "cut [" + id("a").String() + "]"
	_, tick := watched(t, w)
	cuts := func() (n int) {
		w.set(func(w *world) { n = len(w.did) - 4 })
		return n
	}
	g.Eventually(func() int { tick(); return cuts() }).WithTimeout(10 * time.Second).Should(BeNumerically(">", 2))
}

func TestAFailureToEndConnectionsIsTriedAndToldLessAndLess(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	w.stats[id("a")] = haproxy.ServerStat{Health: lbapi.HealthDown, Sessions: 1, Silent: true}
	w.stats[id("b")] = haproxy.ServerStat{Health: lbapi.HealthUp}
	w.refuses = "cut [" + id("a").String() + "]"
	_, tick := watched(t, w)
	const looks = 100
	for range looks {
		tick()
	}
	w.stop()
	tries := len(w.did) - 4
	g.Expect(tries).To(And(BeNumerically(">", 0), BeNumerically("<", looks/4)))
	g.Expect(len(logtest.Lines(t, w.log.String()))).To(And(BeNumerically(">", 0), BeNumerically("<=", 1+tries/3)))
}

func TestNoConnectionsEndByWhatHAProxySaidLongAgo(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	w.stats[id("a")] = haproxy.ServerStat{Health: lbapi.HealthDown, Sessions: 1, Silent: true}
	w.stats[id("b")] = haproxy.ServerStat{Health: lbapi.HealthUp}
	_, tick := watched(t, w)
	for range 5 {
		tick()
	}
	w.set(func(w *world) {
		w.frozen = make(chan struct{})
		w.now = w.now.Add(time.Hour)
	})
	tick()
	tick()
	w.stop()
	g.Expect(w.did[4:]).To(BeEmpty())
}

func repeat(s haproxy.ServerStat, times int) []haproxy.ServerStat {
	all := make([]haproxy.ServerStat, times)
	for i := range all {
		all[i] = s
	}
	return all
}
