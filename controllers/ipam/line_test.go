package ipam

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func waiter(namespace, name string, created int64, with ...func(*ipamv1.IPAddressClaim)) *ipamv1.IPAddressClaim {
	claim := &ipamv1.IPAddressClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: types.UID(namespace + "/" + name), CreationTimestamp: metav1.Unix(created, 0),
	}}
	claim.Spec.PoolRef = ipamv1.IPPoolReference{APIGroup: capstanv1.GroupVersion.Group, Kind: "LogicalNetwork", Name: "lan"}
	for _, modify := range with {
		modify(claim)
	}
	return claim
}

func asksFor(address string) func(*ipamv1.IPAddressClaim) {
	return func(c *ipamv1.IPAddressClaim) {
		c.Annotations = map[string]string{capstanv1.RequestedAddressAnnotation: address}
	}
}

func fails(reason string) func(*ipamv1.IPAddressClaim) {
	return func(c *ipamv1.IPAddressClaim) { conditions.False(c, capstanv1.ReadyCondition, reason, "") }
}

func TestTheOldestClaimIsTheFirstInLine(t *testing.T) {
	g := NewWithT(t)
	line := []*ipamv1.IPAddressClaim{
		waiter("b", "a", 7), waiter("a", "z", 7), waiter("z", "z", 3), waiter("a", "b", 7), waiter("a", "a", 9),
	}
	slices.SortFunc(line, byAge)
	var names []string
	for _, claim := range line {
		names = append(names, claim.Namespace+"/"+claim.Name)
	}
	g.Expect(names).To(Equal([]string{"z/z", "a/b", "a/z", "b/a", "a/a"}))
}

func TestWhoKeepsAnAddressFromTheYounger(t *testing.T) {
	for name, c := range map[string]struct {
		claim *ipamv1.IPAddressClaim
		want  bool
	}{
		"nobody has looked at it":     {waiter("a", "a", 1), true},
		"the network was full":        {waiter("a", "a", 1, fails(ipamv1.IPAddressClaimReadyPoolExhaustedReason)), true},
		"the network was not there":   {waiter("a", "a", 1, fails(capstanv1.ReasonLogicalNetworkNotFound)), true},
		"its address was taken":       {waiter("a", "a", 1, fails(capstanv1.ReasonAddressTaken)), true},
		"its address is nobody's":     {waiter("a", "a", 1, fails(capstanv1.ReasonAddressOutOfRange)), false},
		"it cannot be served":         {waiter("a", "a", 1, fails(capstanv1.ReasonInternalError)), false},
		"its namespace goes":          {waiter("a", "a", 1, fails(capstanv1.ReasonDeleting)), false},
		"it has an address":           {waiter("a", "a", 1, func(c *ipamv1.IPAddressClaim) { c.Status.AddressRef.Name = "a" }), false},
		"it is being deleted":         {waiter("a", "a", 1, func(c *ipamv1.IPAddressClaim) { c.DeletionTimestamp = &metav1.Time{Time: time.Unix(2, 0)} }), false},
		"it is paused":                {waiter("a", "a", 1, func(c *ipamv1.IPAddressClaim) { c.Annotations = map[string]string{"cluster.x-k8s.io/paused": ""} }), false},
		"another provider answers it": {waiter("a", "a", 1, func(c *ipamv1.IPAddressClaim) { c.Spec.PoolRef.Kind = "OtherPool" }), false},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(isInLine(c.claim)).To(Equal(c.want))
		})
	}
}

// A line of claims is served as if each had been served when it came, whatever the order
// in which they are looked at.
func TestWhoeverIsLookedAtFirstTheOldestGetWhatThereIs(t *testing.T) {
	pool, err := addresspool.New(&capstanv1.LogicalNetworkSpec{Subnets: []capstanv1.Subnet{{
		CIDR: "10.0.0.0/24", NodeRanges: []capstanv1.AddressRange{{Start: "10.0.0.1", End: "10.0.0.6"}},
	}}}, addresspool.Nodes)
	if err != nil {
		t.Fatal(err)
	}
	addresses := []netip.Addr{}
	pool.Free(func(netip.Addr) bool { return false }, func(a netip.Addr) bool {
		addresses = append(addresses, a)
		return true
	})
	rapid.Check(t, func(t *rapid.T) {
		g := NewWithT(t)
		taken := map[netip.Addr]bool{}
		for _, a := range addresses {
			taken[a] = rapid.Bool().Draw(t, "taken")
		}
		var line []*ipamv1.IPAddressClaim
		for i := range rapid.IntRange(1, 8).Draw(t, "waiting") {
			claim := waiter("a", string(rune('a'+i)), int64(i))
			if rapid.Bool().Draw(t, "asks") {
				asksFor(rapid.SampledFrom(addresses).Draw(t, "for").String())(claim)
			}
			line = append(line, claim)
		}
		free := 0
		for _, a := range addresses {
			if !taken[a] {
				free++
			}
		}
		given := map[*ipamv1.IPAddressClaim]netip.Addr{}
		// As often as there are claims: one looked at too early has another turn later.
		order := rapid.Permutation(line).Draw(t, "order")
		for range line {
			for _, claim := range order {
				if _, has := given[claim]; has {
					continue
				}
				var older []*ipamv1.IPAddressClaim
				for _, other := range line[:slices.Index(line, claim)] {
					if _, has := given[other]; !has {
						older = append(older, other)
					}
				}
				isTaken := func(a netip.Addr) bool { return taken[a] }
				address, turn := netip.Addr{}, turnAfter(older)
				if requested, asks := claim.Annotations[capstanv1.RequestedAddressAnnotation]; !asks {
					address = turn.first(pool, isTaken)
				} else if a := netip.MustParseAddr(requested); !taken[a] && turn.leaves(a, pool, isTaken) {
					address = a
				}
				if address.IsValid() {
					g.Expect(taken[address]).To(BeFalse(), "it would be given twice")
					given[claim], taken[address] = address, true
				}
			}
		}
		// Nobody who is content with any address has been passed by.
		passed := false
		for _, claim := range line {
			_, has := given[claim]
			_, asks := claim.Annotations[capstanv1.RequestedAddressAnnotation]
			if !asks && !has {
				passed = true
			}
			g.Expect(has && passed).To(BeFalse(), "%s got what an older one waits for", claim.Name)
		}
		if !passed {
			return
		}
		wanted := map[netip.Addr]bool{}
		for _, claim := range line {
			if requested, asks := claim.Annotations[capstanv1.RequestedAddressAnnotation]; asks {
				wanted[netip.MustParseAddr(requested)] = true
			}
		}
		for _, a := range addresses {
			g.Expect(taken[a] || wanted[a]).To(BeTrue(), "%s is free while somebody waits", a)
		}
	})
}
