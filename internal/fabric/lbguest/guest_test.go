package lbguest_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbclient"
	"github.com/capstan-k8s/capstan/internal/pki"
)

func TestOnlyTheOwnerAnswersOnTheVIP(t *testing.T) {
	l := newLab(t)
	a, b, s := l.newVM(2), l.newVM(3), l.newServer(10)
	plan := l.plan(1, []*vm{a, b}, s.Backend)
	b.apply(plan)
	a.apply(plan)
	l.Expect(l.ask()).To(BeNil(), "nobody holds it yet")
	l.eventually(a.role).Should(Equal(lbapi.RoleActive))
	l.eventually(l.ask).Should(Equal(s.Name))
	l.Expect(b.role()).To(Equal(lbapi.RoleStandby))
}

func TestThePeerTakesTheVIPWithinASecond(t *testing.T) {
	l := newLab(t)
	a, b, s := l.newVM(2), l.newVM(3), l.newServer(10)
	for _, v := range []*vm{a, b} {
		v.apply(l.plan(1, []*vm{a, b}, s.Backend))
	}
	l.eventually(l.ask).Should(Equal(s.Name))
	held, err := l.connect()
	l.Expect(err).NotTo(HaveOccurred())
	start := l.clock.Now()
	a.powerOff()
	l.Expect(held.Echo()).NotTo(Succeed(), "the machine has gone")
	l.Expect(l.ask()).To(BeNil())
	l.eventually(b.role).Should(Equal(lbapi.RoleActive))
	took := l.clock.Now().Sub(start)
	l.Expect(took).To(BeNumerically(">=", 600*time.Millisecond))
	l.eventually(l.ask).Should(Equal(s.Name))

	// It is back with the plan on its disk, hears its peer, and robs it of nothing.
	a.powerOn()
	l.Expect(a.guest.Status().Generation).To(Equal(int64(1)))
	l.clock.Step(2 * time.Second)
	l.Expect(a.role()).To(Equal(lbapi.RoleStandby))
	l.Expect(b.role()).To(Equal(lbapi.RoleActive))
}

func TestAGuestComesUpWithItsLastPlanAlone(t *testing.T) {
	l := newLab(t)
	a, s := l.newVM(2), l.newServer(10)
	a.apply(l.plan(4, []*vm{a}, s.Backend))
	l.eventually(l.ask).Should(Equal(s.Name))
	a.powerOff()
	a.powerOn()
	l.eventually(l.ask).Should(Equal(s.Name))
	l.Expect(a.guest.Status().Generation).To(Equal(int64(4)))
}

func TestAnotherManagerIsRefused(t *testing.T) {
	l := newLab(t)
	a, other := l.newVM(2), newLab(t)
	_, err := a.client.Hello(t.Context(), "test")
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(lbapi.ClassOf(lbclient.Renew(t.Context(), a.target, other.manager))).To(Equal(lbapi.Untrusted))
	l.Expect(lbapi.ClassOf(lbclient.Enrol(t.Context(), a.target, other.manager, a.token, nil))).To(Equal(lbapi.Untrusted))
	stranger, err := lbclient.Dial(lbclient.Target{Address: a.target.Address, Agent: pki.AgentRef{Name: a.name, Pin: a.target.Agent.Pin}}, other.manager)
	l.Expect(err).NotTo(HaveOccurred())
	defer func() { l.Expect(stranger.Close()).To(Succeed()) }()
	_, err = stranger.Apply(t.Context(), func() lbapi.Plan {
		p := l.plan(1, []*vm{a})
		p.Self = a.name
		return p
	}())
	l.Expect(lbapi.ClassOf(err)).To(Equal(lbapi.Untrusted))
	l.Expect(a.guest.Status().Generation).To(BeZero())
}

func TestStopLeavesNothingBehind(t *testing.T) {
	l := newLab(t)
	a, s := l.newVM(2), l.newServer(10)
	a.apply(l.plan(1, []*vm{a}, s.Backend))
	l.eventually(l.ask).Should(Equal(s.Name))
	_, err := l.connect()
	l.Expect(err).NotTo(HaveOccurred())
	a.powerOff()
	for _, address := range []string{a.target.Address, fmt.Sprintf("%s:%d", l.vip(), vipPort)} {
		listener, err := net.Listen("tcp", address)
		l.Expect(err).NotTo(HaveOccurred())
		l.Expect(listener.Close()).To(Succeed())
	}
}

func TestAVIPThatSomebodyElseHasIsReportedAndTakenLater(t *testing.T) {
	l := newLab(t)
	a, s := l.newVM(2), l.newServer(10)
	squatter, err := net.Listen("tcp", fmt.Sprintf("%s:%d", l.vip(), vipPort))
	l.Expect(err).NotTo(HaveOccurred())
	a.apply(l.plan(1, []*vm{a}, s.Backend))
	l.eventually(a.role).Should(Equal(lbapi.RoleFault))
	l.Expect(a.guest.Status().Messages).To(ContainElement(ContainSubstring("address already in use")))
	a.apply(l.plan(2, []*vm{a}, s.Drained(), l.newServer(11).Backend))
	l.Expect(squatter.Close()).To(Succeed())
	l.eventually(a.role).Should(Equal(lbapi.RoleActive))
	l.eventually(l.ask).Should(Equal("cp-11"))
	l.Expect(a.guest.Status().Messages).To(BeEmpty())
}

func TestAFrontendThatCannotBeBoundIsRolledBack(t *testing.T) {
	l := newLab(t)
	a, s := l.newVM(2), l.newServer(10)
	a.apply(l.plan(1, []*vm{a}, s.Backend))
	l.eventually(l.ask).Should(Equal(s.Name))
	squatter, err := net.Listen("tcp", fmt.Sprintf("%s:80", l.vip()))
	l.Expect(err).NotTo(HaveOccurred())
	defer squatter.Close()
	plan := l.plan(2, []*vm{a})
	web := plan.Frontends[0]
	web.Name, web.Port = "web", 80
	plan.Frontends, plan.Self = append(plan.Frontends, web), a.name
	_, err = a.client.Apply(t.Context(), plan)
	l.Expect(lbapi.ClassOf(err)).To(Equal(lbapi.ApplyFailed))
	l.Expect(a.guest.Status().Generation).To(Equal(int64(1)))
	l.Expect(l.ask()).To(Equal(s.Name), "the old plan's backends are back")
}
