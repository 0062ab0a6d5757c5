package addresspool

import (
	"math"
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// family is a small network in which any range can be drawn.
type family struct {
	cidr string
	base netip.Addr
}

var families = []family{
	{"10.0.0.0/26", netip.MustParseAddr("10.0.0.0")},
	{"255.255.255.192/26", netip.MustParseAddr("255.255.255.192")},
	{"fd00:0:0:1:ffff:ffff:ffff:ffc0/122", netip.MustParseAddr("fd00:0:0:1:ffff:ffff:ffff:ffc0")},
}

const hosts = 64

func (f family) all() []netip.Addr {
	var out []netip.Addr
	for a, i := f.base, 0; i < hosts; a, i = a.Next(), i+1 {
		out = append(out, a)
	}
	return out
}

func (f family) draw(t *rapid.T, label string) netip.Addr {
	return f.all()[rapid.IntRange(0, hosts-1).Draw(t, label)]
}

// drawRanges draws ranges that may overlap and repeat each other.
func (f family) drawRanges(t *rapid.T) []capstanv1.AddressRange {
	var ranges []capstanv1.AddressRange
	for range rapid.IntRange(1, 5).Draw(t, "ranges") {
		a, b := f.draw(t, "start"), f.draw(t, "end")
		if b.Less(a) {
			a, b = b, a
		}
		ranges = append(ranges, r(a.String(), b.String()))
	}
	return ranges
}

// holds is what a pool may give out, said again in the plainest way.
func (f family) holds(ranges []capstanv1.AddressRange, gateway, a netip.Addr) bool {
	all := f.all()
	network, broadcast := all[0], all[hosts-1]
	if a == gateway || a == network || a == broadcast && a.Is4() {
		return false
	}
	for _, r := range ranges {
		first, last := netip.MustParseAddr(r.Start), netip.MustParseAddr(r.End)
		if first.Compare(a) <= 0 && a.Compare(last) <= 0 {
			return true
		}
	}
	return false
}

func TestAPoolGivesOutEachAddressOfItsRangesOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewWithT(t)
		f := rapid.SampledFrom(families).Draw(t, "family")
		ranges, gateway := f.drawRanges(t), f.draw(t, "gateway")
		p, err := New(network(f.cidr, gateway.String(), ranges...), Nodes)
		g.Expect(err).NotTo(HaveOccurred())
		given := map[string]bool{}
		for _, a := range all(p) {
			g.Expect(given).NotTo(HaveKey(a), "it would be given out twice")
			given[a] = true
		}
		for _, a := range f.all() {
			want := f.holds(ranges, gateway, a)
			g.Expect(given[a.String()]).To(Equal(want), a.String())
			g.Expect(p.Contains(a)).To(Equal(want), a.String())
		}
		g.Expect(p.Count()).To(Equal(int64(len(given))))
	})
}

func TestNoAddressThatIsTakenIsFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewWithT(t)
		f := rapid.SampledFrom(families).Draw(t, "family")
		p, err := New(network(f.cidr, "", f.drawRanges(t)...), VIPs)
		g.Expect(err).NotTo(HaveOccurred())
		taken := map[netip.Addr]bool{}
		for _, a := range f.all() {
			taken[a] = rapid.Bool().Draw(t, "taken")
		}
		free := map[netip.Addr]bool{}
		p.Free(func(a netip.Addr) bool { return taken[a] }, func(a netip.Addr) bool {
			free[a] = true
			return true
		})
		for _, a := range f.all() {
			g.Expect(free[a]).To(Equal(p.Contains(a) && !taken[a]), a.String())
		}
	})
}

func TestPoolsOverlapIfTheyShareAnAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewWithT(t)
		f := rapid.SampledFrom(families).Draw(t, "family")
		one, err := New(network(f.cidr, "", f.drawRanges(t)...), Nodes)
		g.Expect(err).NotTo(HaveOccurred())
		other, err := New(network(f.cidr, "", f.drawRanges(t)...), Nodes)
		g.Expect(err).NotTo(HaveOccurred())
		both := func(a netip.Addr) bool {
			_, inOne := one.RangeWith(a)
			_, inOther := other.RangeWith(a)
			return inOne && inOther
		}
		shares := false
		for _, a := range f.all() {
			shares = shares || both(a)
		}
		shared, overlaps := one.Overlaps(other)
		_, overlapped := other.Overlaps(one)
		g.Expect(overlaps).To(Equal(shares))
		g.Expect(overlapped).To(Equal(shares))
		if overlaps {
			g.Expect(both(shared)).To(BeTrue(), shared.String())
		}
	})
}

func TestARangeIsCountedHoweverLargeItIs(t *testing.T) {
	for name, c := range map[string]struct {
		cidr   string
		ranges []capstanv1.AddressRange
		want   int64
	}{
		"half of all IPv4":                 {"0.0.0.0/0", []capstanv1.AddressRange{r("0.0.0.1", "128.0.0.0")}, 1 << 31},
		"two addresses across a boundary":  {"fd00::/32", []capstanv1.AddressRange{r("fd00::ffff:ffff:ffff:ffff", "fd00:0:0:1::")}, 2},
		"more than can be counted":         {"fd00::/32", []capstanv1.AddressRange{r("fd00::", "fd00::7fff:ffff:ffff:ffff")}, math.MaxInt64 - 1},
		"far more":                         {"fd00::/32", []capstanv1.AddressRange{r("fd00::1", "fd00:0:ffff::")}, math.MaxInt64},
		"two that are too many only added": {"fd00::/32", []capstanv1.AddressRange{r("fd00::1", "fd00::7fff:ffff:ffff:ffff"), r("fd00:0:0:1::", "fd00:0:0:1:7fff::")}, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			p, err := New(network(c.cidr, "", c.ranges...), Nodes)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(p.Count()).To(Equal(c.want))
		})
	}
}

// FuzzNew: whatever somebody writes is a pool or an error of one line, and no pool
// gives out what is not in its network.
func FuzzNew(f *testing.F) {
	f.Add("10.0.0.0/24", "10.0.0.1", "10.0.0.10", "10.0.0.20")
	f.Add("fd00::/64", "", "fd00::1", "fd00::ffff")
	f.Add("::ffff:10.0.0.0/120", "fe80::1%eth0", "fe80::1%eth0", "::ffff:10.0.0.9")
	f.Add("10.0.0.0/33", "x\n", "", "10")
	f.Fuzz(func(t *testing.T, cidr, gateway, start, end string) {
		p, err := New(network(cidr, gateway, r(start, end)), Nodes)
		if err != nil {
			return
		}
		prefix := netip.MustParsePrefix(cidr)
		if p.Count() < 0 {
			t.Errorf("a pool of %d addresses", p.Count())
		}
		given := 0
		p.Free(func(netip.Addr) bool { return false }, func(a netip.Addr) bool {
			if !prefix.Contains(a) || !p.Contains(a) {
				t.Errorf("%s was given out of %s", a, cidr)
			}
			given++
			return given < 1000
		})
		if int64(given) != min(p.Count(), 1000) {
			t.Errorf("%d were given out of %d", given, p.Count())
		}
	})
}
