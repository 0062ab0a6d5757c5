package lb

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

var target = netip.AddrPortFrom(lblab.VIP, lblab.Port)

func TestTwoHundredServicesComeAndGoUnnoticed(t *testing.T) {
	u := startUnderLoad(t)
	holder, _, err := u.Holder(u.ctx, lblab.VIP)
	u.Expect(err).NotTo(HaveOccurred())
	crowd := u.Services(200)
	began := time.Now()
	u.Expect(u.Apply(u.ctx, crowd)).To(Succeed())
	t.Logf("200 Services in force after %s", time.Since(began).Round(time.Millisecond))
	targets := targetsOf(crowd.Frontends[1:])
	u.Eventually(func() error { _, err := u.Try(u.ctx, targets...); return err }).Should(Succeed())
	u.unharmed(u.WithT, traffic.Report{})

	began = time.Now()
	u.Expect(u.Apply(u.ctx, u.Plan())).To(Succeed())
	t.Logf("200 Services gone after %s", time.Since(began).Round(time.Millisecond))
	u.Eventually(u.Holders).WithArguments(targets[199].Addr()).Should(BeEmpty())
	u.unharmed(u.WithT, traffic.Report{})
	u.Expect(u.Holders(lblab.VIP)).To(ConsistOf(holder))
}

func targetsOf(frontends []lbapi.Frontend) []netip.AddrPort {
	targets := make([]netip.AddrPort, len(frontends))
	for i, f := range frontends {
		targets[i] = netip.AddrPortFrom(netip.MustParseAddr(f.VIP), uint16(f.Port))
	}
	return targets
}
