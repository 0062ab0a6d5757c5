package lbguest_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/capstan-k8s/capstan/internal/fabric/lbguest"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

var (
	link      = lbguest.LinkID{Network: "192.0.2.0/24", VRID: 1}
	best      = lbguest.Station{Address: "192.0.2.2", Priority: 200, Peers: []string{"192.0.2.3", "192.0.2.4"}}
	second    = lbguest.Station{Address: "192.0.2.3", Priority: 150, Peers: []string{"192.0.2.2", "192.0.2.4"}}
	third     = lbguest.Station{Address: "192.0.2.4", Priority: 100, Peers: []string{"192.0.2.2", "192.0.2.3"}}
	noMessage = func() {}
)

func newSegment() (*lbguest.Segment, *clocktesting.FakeClock) {
	clock := clocktesting.NewFakeClock(time.Unix(1700000000, 0))
	return lbguest.NewSegment(clock), clock
}

// elect lets just so much time pass that the best standby takes over.
func elect(g *WithT, clock *clocktesting.FakeClock, member *lbguest.Member) {
	clock.Step(lbguest.TakeoverTime(200))
	g.Eventually(member.Role).Should(Equal(lbapi.RoleActive))
}

func TestTheHighestPriorityTakesAVIPThatNobodyHolds(t *testing.T) {
	g := NewWithT(t)
	segment, clock := newSegment()
	b := segment.Join(link, second, noMessage)
	a := segment.Join(link, best, noMessage)
	elect(g, clock, a)
	g.Expect(b.Role()).To(Equal(lbapi.RoleStandby))
	g.Expect(clock.HasWaiters()).To(BeFalse(), "the others hear it and wait for nothing")
}

func TestNobodyIsRobbedOfAVIP(t *testing.T) {
	g := NewWithT(t)
	segment, clock := newSegment()
	b := segment.Join(link, second, noMessage)
	clock.Step(time.Second)
	g.Eventually(b.Role).Should(Equal(lbapi.RoleActive))
	a := segment.Join(link, best, noMessage)
	g.Expect(clock.HasWaiters()).To(BeFalse())
	g.Expect(a.Role()).To(Equal(lbapi.RoleStandby))
	g.Expect(b.Role()).To(Equal(lbapi.RoleActive))
}

func TestSilenceLetsTheNextOneTakeOver(t *testing.T) {
	g := NewWithT(t)
	segment, clock := newSegment()
	a, b, c := segment.Join(link, best, noMessage), segment.Join(link, second, noMessage), segment.Join(link, third, noMessage)
	elect(g, clock, a)
	a.Leave()
	g.Expect(b.Role()).To(Equal(lbapi.RoleStandby))
	clock.Step(590 * time.Millisecond)
	g.Expect(clock.Waiters()).To(Equal(2), "both still listen: three adverts have not been missed yet")
	clock.Step(lbguest.TakeoverTime(150) - 590*time.Millisecond)
	g.Eventually(b.Role).Should(Equal(lbapi.RoleActive))
	g.Expect(c.Role()).To(Equal(lbapi.RoleStandby))
	g.Expect(lbguest.TakeoverTime(150)).To(BeNumerically("<", 700*time.Millisecond))
}

func TestWhoResignsIsSucceededAtOnce(t *testing.T) {
	g := NewWithT(t)
	segment, clock := newSegment()
	a, b, c := segment.Join(link, best, noMessage), segment.Join(link, second, noMessage), segment.Join(link, third, noMessage)
	elect(g, clock, a)
	a.Resign()
	g.Expect(b.Role()).To(Equal(lbapi.RoleActive))
	g.Expect(c.Role()).To(Equal(lbapi.RoleStandby))
	g.Expect(clock.HasWaiters()).To(BeFalse(), "the other one hears it and waits for nothing")
	c.Resign()
	g.Expect(b.Role()).To(Equal(lbapi.RoleActive), "a standby has nothing to hand over")
}

func TestAForgottenPeerHoldsTheVIPToo(t *testing.T) {
	g := NewWithT(t)
	segment, clock := newSegment()
	forgetful := best
	forgetful.Peers = []string{third.Address}
	a, b := segment.Join(link, forgetful, noMessage), segment.Join(link, second, noMessage)
	elect(g, clock, a)
	clock.Step(time.Second)
	g.Eventually(b.Role).Should(Equal(lbapi.RoleActive), "it has heard nothing of the other")
	g.Eventually(a.Role).Should(Equal(lbapi.RoleActive), "it has heard of a lesser one")
}

func TestOfTwoThatHoldAVIPTheLesserGivesWay(t *testing.T) {
	g := NewWithT(t)
	segment, clock := newSegment()
	alone := func(s lbguest.Station) lbguest.Station {
		s.Peers = nil
		return s
	}
	a, b := segment.Join(link, alone(best), noMessage), segment.Join(link, alone(second), noMessage)
	clock.Step(time.Second)
	g.Eventually(func() []lbapi.Role { return []lbapi.Role{a.Role(), b.Role()} }).
		Should(Equal([]lbapi.Role{lbapi.RoleActive, lbapi.RoleActive}))
	a.Update(best)
	b.Update(second)
	g.Expect(a.Role()).To(Equal(lbapi.RoleActive))
	g.Expect(b.Role()).To(Equal(lbapi.RoleStandby))
}

func TestRoutersAreApart(t *testing.T) {
	g := NewWithT(t)
	segment, clock := newSegment()
	a := segment.Join(link, best, noMessage)
	b := segment.Join(lbguest.LinkID{Network: link.Network, VRID: 2}, second, noMessage)
	clock.Step(time.Second)
	g.Eventually(a.Role).Should(Equal(lbapi.RoleActive))
	g.Eventually(b.Role).Should(Equal(lbapi.RoleActive))
}
