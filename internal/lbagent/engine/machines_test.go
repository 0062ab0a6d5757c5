package engine_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/engine"
	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

var silentServer = haproxy.ServerStat{Health: lbapi.HealthDown, Sessions: 1, Silent: true}

// A node that lives sends every second check of its node port to a pod whose node has lost
// its power, and carries sessions to one that lives all the same.
func TestAMachineThatAnswersItselfKeepsItsConnections(t *testing.T) {
	for name, is := range map[string]machine{
		"it answers":              {lives: true},
		"that cannot be told yet": {err: errFake},
	} {
		t.Run(name, func(t *testing.T) {
			g, w := NewWithT(t), newWorld()
			w.machines = map[string]machine{"192.0.2.20": is}
			w.stats[id("a")], w.stats[id("b")] = silentServer, haproxy.ServerStat{Health: lbapi.HealthUp}
			_, tick := watched(t, w)
			asked := func() (n int) {
				w.set(func(w *world) { n = len(w.asked) })
				return n
			}
			g.Eventually(func() int { tick(); return asked() }).WithTimeout(10 * time.Second).Should(BeNumerically(">", 3))
			w.set(func(w *world) { g.Expect(w.did).To(HaveLen(4), "nothing but the plan was carried out") })
			w.set(func(w *world) { w.machines = nil })
			g.Eventually(func() (did []string) {
				tick()
				w.set(func(w *world) { did = w.did[4:] })
				return did
			}).WithTimeout(10 * time.Second).Should(ContainElement("cut [" + id("a").String() + "]"))
		})
	}
}

func TestAMachineThatAnswersIsNotAskedAtEachLook(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	w.machines = map[string]machine{"192.0.2.20": {lives: true}}
	w.stats[id("a")], w.stats[id("b")] = silentServer, haproxy.ServerStat{Health: lbapi.HealthUp}
	_, tick := watched(t, w)
	asked := func() (n int) {
		w.set(func(w *world) { n = len(w.asked) })
		return n
	}
	for range 10 {
		tick()
	}
	g.Eventually(asked).Should(Equal(1))
	// However late its answer comes to be known, it is not silent for long again.
	for range 9 {
		tick()
	}
	g.Expect(asked()).To(BeNumerically("<=", 2))
}

func TestOneMachineOfManyServersIsAskedOnceAndNobodyWaitsForIt(t *testing.T) {
	g, w := NewWithT(t), newWorld()
	thinks := make(chan struct{})
	w.machines = map[string]machine{"192.0.2.20": {thinks: thinks}}
	plan := newPlan()
	other := plan.Clone().Frontends[0]
	other.Name, other.Port = "other", 81
	plan.Frontends = append(plan.Frontends, other)
	for _, f := range plan.Frontends {
		w.stats[haproxy.IDOf(f, f.Backends[0])], w.stats[haproxy.IDOf(f, f.Backends[1])] = silentServer, haproxy.ServerStat{Health: lbapi.HealthUp}
	}
	e, tick := watched(t, w)
	g.Expect(e.Apply(t.Context(), plan)).To(Succeed())
	for range 20 {
		tick()
	}
	g.Eventually(func() (asked []string) {
		w.set(func(w *world) { asked = append(asked, w.asked...) })
		return asked
	}).Should(Equal([]string{"192.0.2.20"}))
	w.set(func(w *world) { g.Expect(w.did).To(HaveLen(8), "who thinks may answer yet") })
	close(thinks)
	g.Eventually(func() (did []string) {
		w.set(func(w *world) { did = w.did[8:] })
		return did
	}).Should(ContainElement(And(ContainSubstring("cut"), ContainSubstring("be:other"), ContainSubstring("be:web"))))
}

func TestANodeThatRefusesLives(t *testing.T) {
	g := NewWithT(t)
	// Nobody listens there, and a kernel says so.
	g.Expect(engine.Lives(t.Context(), "127.0.0.1")).To(BeTrue())
	g.Expect(engine.Lives(t.Context(), "224.0.0.1")).To(BeFalse(), "there is no way to it")
}
