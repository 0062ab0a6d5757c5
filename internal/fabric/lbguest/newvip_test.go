package lbguest_test

import (
	"fmt"
	"net"
	"strconv"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Whoever is told that a plan is in force tells users of the VIPs in it.
func TestANewVIPAnswersOnceItsPlanIsInForce(t *testing.T) {
	l := newRealLab(t)
	a, b, s := l.newVM(2), l.newVM(3), l.newServer(10)
	plan := l.plan(1, []*vm{a, b}, s.Backend)
	for _, v := range []*vm{a, b} {
		v.apply(plan)
	}
	l.eventually(l.ask).Should(Equal(s.Name))

	vip := plan.VIPs[0]
	frontend := plan.Frontends[0]
	for more := range 3 {
		plan.Generation++
		vip.Address, frontend.Name = l.address(101+more), fmt.Sprintf("service-%d", more)
		frontend.VIP = vip.Address
		plan.VIPs, plan.Frontends = append(plan.VIPs, vip), append(plan.Frontends, frontend)
		for _, v := range []*vm{a, b} {
			v.apply(plan)
		}
		conn, err := net.Dial("tcp", net.JoinHostPort(vip.Address, strconv.Itoa(vipPort)))
		l.Expect(err).NotTo(HaveOccurred(), "%s is listened on", vip.Address)
		l.Expect(conn.Close()).To(Succeed())
	}
	l.Expect(a.role()).To(Equal(lbapi.RoleActive))
}
