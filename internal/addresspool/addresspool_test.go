package addresspool

import (
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func network(cidr, gateway string, ranges ...capstanv1.AddressRange) *capstanv1.LogicalNetworkSpec {
	return &capstanv1.LogicalNetworkSpec{Subnets: []capstanv1.Subnet{{
		CIDR: cidr, Gateway: gateway, NodeRanges: ranges, VIPRanges: ranges,
	}}}
}

func r(start, end string) capstanv1.AddressRange {
	return capstanv1.AddressRange{Start: start, End: end}
}

func all(p *Pool) []string {
	var out []string
	p.Free(func(netip.Addr) bool { return false }, func(a netip.Addr) bool {
		out = append(out, a.String())
		return true
	})
	return out
}

func TestGivesOutNeitherRouterNorNetworkNorBroadcast(t *testing.T) {
	g := NewWithT(t)
	p, err := New(network("10.0.0.0/29", "10.0.0.3", r("10.0.0.0", "10.0.0.7")), Nodes)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(all(p)).To(Equal([]string{"10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"}))
	g.Expect(p.Count()).To(Equal(int64(5)))
	g.Expect(p.Contains(netip.MustParseAddr("10.0.0.3"))).To(BeFalse())
}

func TestBadRangesNameFieldAndFix(t *testing.T) {
	for name, c := range map[string]struct {
		spec *capstanv1.LogicalNetworkSpec
		use  Use
		want string
	}{
		"no subnet":     {&capstanv1.LogicalNetworkSpec{}, Nodes, "spec.subnets is empty"},
		"no network":    {network("x", ""), Nodes, "spec.subnets[0].cidr"},
		"bad gateway":   {network("10.0.0.0/24", "x"), Nodes, "spec.subnets[0].gateway"},
		"bad start":     {network("10.0.0.0/24", "", r("x", "10.0.0.9")), Nodes, "nodeRanges[0]: start"},
		"bad end":       {network("10.0.0.0/24", "", r("10.0.0.9", "x")), Nodes, "nodeRanges[0]: end"},
		"reversed":      {network("10.0.0.0/24", "", r("10.0.0.9", "10.0.0.2")), VIPs, "vipRanges[0]: end 10.0.0.2 lies before start"},
		"out of subnet": {network("10.0.0.0/24", "", r("10.0.1.1", "10.0.1.2")), VIPs, "does not lie in 10.0.0.0/24"},
		"unknown use":   {network("10.0.0.0/24", "", r("10.0.0.1", "10.0.0.2")), "pods", "address range \"pods\" is unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(c.spec, c.use)
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(c.want)))
		})
	}
}

func TestOverlapsNamesASharedAddress(t *testing.T) {
	g := NewWithT(t)
	a, err := New(network("10.0.0.0/24", "", r("10.0.0.1", "10.0.0.20")), Nodes)
	g.Expect(err).NotTo(HaveOccurred())
	b, err := New(network("10.0.0.0/24", "", r("10.0.0.20", "10.0.0.30")), Nodes)
	g.Expect(err).NotTo(HaveOccurred())
	shared, ok := a.Overlaps(b)
	g.Expect(ok).To(BeTrue())
	g.Expect(shared.String()).To(Equal("10.0.0.20"))
	c, err := New(network("10.0.0.0/24", "", r("10.0.0.21", "10.0.0.30")), Nodes)
	g.Expect(err).NotTo(HaveOccurred())
	_, ok = a.Overlaps(c)
	g.Expect(ok).To(BeFalse())
}

func TestAReservationIsNamedAfterWhatItHolds(t *testing.T) {
	for held, want := range map[string]string{
		"10.0.0.7": "lan-10.0.0.7", "fd00::7": "lan-fd00--7", VirtualRouter(17): "lan-vrid-17",
		"vrid/x": "", "": "", "lan": "",
	} {
		t.Run(held, func(t *testing.T) {
			g := NewWithT(t)
			name, err := ReservationNameOf("lan", held)
			g.Expect(name).To(Equal(want))
			g.Expect(err != nil).To(Equal(want == ""))
		})
	}
	g := NewWithT(t)
	id, ok := ParseVirtualRouter(VirtualRouter(17))
	g.Expect(ok).To(BeTrue())
	g.Expect(id).To(BeEquivalentTo(17))
	_, ok = ParseVirtualRouter("10.0.0.7")
	g.Expect(ok).To(BeFalse())
}
