package lbguest_test

import (
	"os/exec"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// newRealLab is a lab whose guests carry connections with a real HAProxy.
func newRealLab(t *testing.T) *lab {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Fatal("haproxy is not installed: 'make test' installs it, or your system's package manager does")
	}
	l := newLab(t)
	l.haproxy = program
	return l
}

func TestARealHAProxyAnswersWhereTheVIPIs(t *testing.T) {
	l := newRealLab(t)
	a, b, s := l.newVM(2), l.newVM(3), l.newServer(10)
	for _, v := range []*vm{a, b} {
		v.apply(l.plan(1, []*vm{a, b}, s.Backend))
	}
	l.eventually(a.role).Should(Equal(lbapi.RoleActive))
	l.eventually(l.ask).Should(Equal(s.Name))
	l.eventually(b.health).Should(HaveKeyWithValue(s.Name, lbapi.HealthUp))
	l.Expect(b.role()).To(Equal(lbapi.RoleStandby))
	l.Expect(a.guest.Status().Versions).To(HaveKeyWithValue("haproxy", HavePrefix("2.")))
	held, err := l.connect()
	l.Expect(err).NotTo(HaveOccurred())

	a.powerOff()
	l.Expect(held.Echo()).NotTo(Succeed(), "the machine has gone")
	l.eventually(b.role).Should(Equal(lbapi.RoleActive))
	l.eventually(l.ask).Should(Equal(s.Name))

	// It is back with the plan on its disk, hears its peer, and takes nobody's
	// connections.
	a.powerOn()
	l.eventually(func() any { return a.guest.Status().Generation }).Should(Equal(int64(1)))
	l.eventually(a.role).Should(Equal(lbapi.RoleStandby))
	l.Expect(askTwenty(l)).To(Equal(map[any]int{s.Name: 20}))
	b.powerOff()
	l.eventually(a.role).Should(Equal(lbapi.RoleActive))
	l.eventually(l.ask).Should(Equal(s.Name))
}

func TestARealHAProxyDisturbsNobodyWhenServersChange(t *testing.T) {
	l := newRealLab(t)
	s, other := l.newServer(10), l.newServer(11)
	a := running(l, s, other)
	l.eventually(l.ask).ShouldNot(BeNil())
	held := l.holdOn(other)
	a.apply(l.plan(2, []*vm{a}, s.Drained(), other.Backend))
	l.Expect(askTwenty(l)).To(Equal(map[any]int{other.Name: 20}))
	a.apply(l.plan(3, []*vm{a}, other.Backend))
	a.apply(l.plan(4, []*vm{a}, s.Backend, other.Backend))
	l.Expect(held.Echo()).To(Succeed())
	l.Expect(askTwenty(l)).To(HaveKeyWithValue(s.Name, 10))
}

func TestARealHAProxyHandsItsVIPOver(t *testing.T) {
	l := newRealLab(t)
	a, b, s := l.newVM(2), l.newVM(3), l.newServer(10)
	for _, v := range []*vm{a, b} {
		v.apply(l.plan(1, []*vm{a, b}, s.Backend))
	}
	l.eventually(l.ask).Should(Equal(s.Name))
	held, err := l.connect()
	l.Expect(err).NotTo(HaveOccurred())
	resigned := l.plan(2, []*vm{a, b})
	resigned.VIPs, resigned.Frontends = nil, nil
	a.apply(resigned)
	l.eventually(b.role).Should(Equal(lbapi.RoleActive))
	l.eventually(l.ask).Should(Equal(s.Name))
	l.Eventually(held.Echo).WithTimeout(10*time.Second).ShouldNot(Succeed(), "packets go elsewhere now")
}
