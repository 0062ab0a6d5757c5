package lbguest_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric/lbguest"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// pair returns two VMs that know of each other, the first of which holds the VIP,
// with two backends that are well.
func pair(l *lab) (active, standby *vm) {
	l.t.Helper()
	active, standby = l.newVM(2), l.newVM(3)
	s, other := l.newServer(10), l.newServer(11)
	for _, v := range []*vm{active, standby} {
		v.apply(l.plan(1, []*vm{active, standby}, s.Backend, other.Backend))
	}
	l.eventually(active.role).Should(Equal(lbapi.RoleActive))
	for _, v := range []*vm{active, standby} {
		l.eventually(v.health).Should(Equal(map[string]lbapi.Health{s.Name: lbapi.HealthUp, other.Name: lbapi.HealthUp}))
	}
	return active, standby
}

// request is one request of a client that sends one every 50 ms.
type request struct {
	at       time.Duration
	answered bool
}

const pace = 50 * time.Millisecond

// requests sends one request for each step of the clock. What is due when it fires
// has happened before the next one is sent.
func (l *lab) requests(start time.Time, n int, settled func() bool) []request {
	l.t.Helper()
	var sent []request
	for range n {
		sent = append(sent, request{at: l.clock.Now().Sub(start), answered: l.ask() != nil})
		l.clock.Step(pace)
		l.Eventually(settled).WithTimeout(10 * time.Second).WithPolling(time.Millisecond).Should(BeTrue())
	}
	return sent
}

func failures(all []request) (failed []time.Duration) {
	for _, r := range all {
		if !r.answered {
			failed = append(failed, r.at)
		}
	}
	return failed
}

// TestOnlyRequestsInOneTakeoverWindowFail is what a client of the API server sees
// when the host of the active load balancer loses its power, and comes back.
func TestOnlyRequestsInOneTakeoverWindowFail(t *testing.T) {
	l := newLab(t)
	active, standby := pair(l)
	start := l.clock.Now()
	always := func() bool { return true }
	l.Expect(failures(l.requests(start, 20, always))).To(BeEmpty())

	active.powerOff()
	died := l.clock.Now()
	window := lbguest.TakeoverTime(140)
	// Once the window is over, the standby answers before the next request is sent.
	takenOver := func() bool { return l.clock.Now().Sub(died) < window || l.ask() != nil }
	failed := failures(l.requests(died, 40, takenOver))
	l.Expect(failed).NotTo(BeEmpty(), "the power really went")
	l.Expect(failed[0]).To(BeZero())
	l.Expect(failed[len(failed)-1]).To(BeNumerically("<", window))
	l.Expect(failed).To(HaveLen(int((window+pace-1)/pace)), "one window, without a gap")
	l.Expect(standby.role()).To(Equal(lbapi.RoleActive))

	active.powerOn()
	l.Expect(failures(l.requests(start, 40, always))).To(BeEmpty(), "who comes back takes nothing away")
	l.Expect(active.role()).To(Equal(lbapi.RoleStandby))
	l.Expect(standby.role()).To(Equal(lbapi.RoleActive))
}

// TestBothThatDieAtOnceComeBackWithOneOwner has the power of the whole site go.
func TestBothThatDieAtOnceComeBackWithOneOwner(t *testing.T) {
	for name, order := range map[string]func(a, b *vm){
		"the active one first": func(a, b *vm) { a.powerOn(); b.powerOn() },
		"the standby first":    func(a, b *vm) { b.powerOn(); a.powerOn() },
		"one long before the other": func(a, b *vm) {
			b.powerOn()
			b.eventually(b.role).Should(Equal(lbapi.RoleActive))
			a.powerOn()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			active, standby := pair(l)
			active.powerOff()
			standby.powerOff()
			l.Expect(l.ask()).To(BeNil())
			order(active, standby)
			l.eventually(l.ask).ShouldNot(BeNil())
			owners := func() int {
				n := 0
				for _, v := range []*vm{active, standby} {
					if v.role() != lbapi.RoleStandby {
						n++
					}
				}
				return n
			}
			l.Expect(owners()).To(Equal(1))
			for range 20 {
				l.clock.Step(100 * time.Millisecond)
				l.Expect(owners()).To(Equal(1))
			}
		})
	}
}

// TestAnAgentThatDiesAloneTakesNothingWithIt is why silence is no proof of death.
func TestAnAgentThatDiesAloneTakesNothingWithIt(t *testing.T) {
	l := newLab(t)
	active, standby := pair(l)
	active.guest.KillAgent()
	_, err := active.client.Hello(t.Context(), "test")
	l.Expect(lbapi.ClassOf(err)).To(Equal(lbapi.Unreachable))
	l.Expect(failures(l.requests(l.clock.Now(), 40, func() bool { return true }))).To(BeEmpty())
	l.Expect(standby.role()).To(Equal(lbapi.RoleStandby))

	active.powerOff()
	l.eventually(l.ask).ShouldNot(BeNil())
	l.Expect(standby.role()).To(Equal(lbapi.RoleActive))
}
