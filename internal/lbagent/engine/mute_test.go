package engine_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

func TestConnectionsThatAServerNeverAnswersEndWhenItIsFoundToBeMute(t *testing.T) {
	var (
		up       = haproxy.ServerStat{Health: lbapi.HealthUp, Sessions: 3}
		slow     = haproxy.ServerStat{Health: lbapi.HealthUp, Sessions: 3, Mute: true}
		mute     = haproxy.ServerStat{Health: lbapi.HealthDown, Sessions: 3, Mute: true}
		idle     = haproxy.ServerStat{Health: lbapi.HealthDown, Mute: true}
		notReady = haproxy.ServerStat{Health: lbapi.HealthDown, Sessions: 3}
	)
	cut := func(within string) string {
		return "cut what [" + id("a").String() + "] never answered within " + within
	}
	for name, tt := range map[string]struct {
		// a is how the first server is at each second, and b how the other one is.
		a    []haproxy.ServerStat
		b    haproxy.ServerStat
		want []string
	}{
		"its checks may still go well":           {repeat(slow, 5), up, nil},
		"it is down":                             {append(repeat(slow, 3), repeat(mute, 9)...), up, []string{cut("8s")}},
		"it was down already":                    {repeat(mute, 3), up, []string{cut("5s")}},
		"it has no connections":                  {repeat(idle, 3), up, nil},
		"it answers that it is not ready":        {repeat(notReady, 3), up, nil},
		"it comes back, and is mute once more":   {append(append(repeat(mute, 2), up), repeat(mute, 2)...), up, []string{cut("5s"), cut("5s")}},
		"the other one is no better":             {repeat(mute, 3), notReady, nil},
		"the other one is about to be no better": {repeat(mute, 3), slow, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g, w := NewWithT(t), newWorld()
			did := func() (did []string) {
				w.set(func(w *world) { did = append(did, w.did[min(4, len(w.did)):]...) })
				return did
			}
			w.stats[id("a")], w.stats[id("b")] = tt.a[0], tt.b
			_, tick := watched(t, w)
			expected := 0
			for i, next := range tt.a[1:] {
				w.set(func(w *world) { w.stats[id("a")] = next })
				if next == up && i > 0 {
					// It has to be through with what came before.
					expected++
					g.Eventually(did).Should(HaveLen(expected))
				}
				tick()
			}
			g.Eventually(did).Should(Equal(tt.want))
			tick()
			w.stop()
			g.Expect(did()).To(Equal(tt.want))
		})
	}
}

func TestConnectionsThatCouldNotBeLookedAtAreLookedAtAgain(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	w.stats[id("a")] = haproxy.ServerStat{Health: lbapi.HealthDown, Sessions: 1, Mute: true}
	w.stats[id("b")] = haproxy.ServerStat{Health: lbapi.HealthUp}
	w.refuses = "cut what [" + id("a").String() + "] never answered within 5s"
	_, tick := watched(t, w)
	g.Eventually(func() (n int) {
		tick()
		w.set(func(w *world) { n = len(w.did) - 4 })
		return n
	}).WithTimeout(10 * time.Second).Should(BeNumerically(">", 1))
}
