package lbapi_test

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbapitest"
)

func newPlan(with ...func(*lbapi.Plan)) lbapi.Plan {
	p := lbapi.Plan{
		Generation: 7, Cluster: "default/shop", Self: "shop-lb-0",
		VIPs: []lbapi.VIP{{Address: "192.0.2.10", Network: "192.0.2.0/24", VRID: 51}},
		Peers: []lbapi.Peer{
			{Name: "shop-lb-0", Address: "192.0.2.2", Priority: 150},
			{Name: "shop-lb-1", Address: "192.0.2.3", Priority: 149},
		},
		Frontends: []lbapi.Frontend{{
			Name: "kube-apiserver", VIP: "192.0.2.10", Port: 6443, Protocol: lbapi.TCP,
			AllowedSources: []string{"0.0.0.0/0"},
			Backends:       []lbapi.Backend{{Name: "shop-cp-0", Address: "192.0.2.4", Port: 6443}},
			Check: lbapi.Check{
				Kind: lbapi.CheckTLSReadyz, Path: "/readyz", ServerName: "kubernetes", CA: lbapitest.CA(),
				Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 2,
			},
		}},
	}
	for _, f := range with {
		f(&p)
	}
	return p
}

// anyPlan draws valid plans of every shape.
func anyPlan() *rapid.Generator[lbapi.Plan] {
	return rapid.Custom(func(t *rapid.T) lbapi.Plan {
		p := lbapi.Plan{
			Generation: rapid.Int64Min(1).Draw(t, "generation"),
			Cluster:    rapid.StringMatching(`[a-z0-9]{1,8}(/[a-z0-9]{1,8})?`).Draw(t, "cluster"),
		}
		for i := range rapid.IntRange(1, 4).Draw(t, "peers") {
			p.Peers = append(p.Peers, lbapi.Peer{Name: fmt.Sprintf("lb-%d", i), Address: fmt.Sprintf("10.0.0.%d", i+1), Priority: int32(200 - i)})
		}
		p.Self = rapid.SampledFrom(p.Peers).Draw(t, "self").Name
		iface := rapid.SampledFrom([]string{"", "eth0"}).Draw(t, "interface")
		for i := range rapid.IntRange(0, 3).Draw(t, "vips") {
			p.VIPs = append(p.VIPs, lbapi.VIP{Address: fmt.Sprintf("10.0.1.%d", i+1), Network: "10.0.0.0/16", Interface: iface, VRID: 9})
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "frontends") {
			if len(p.VIPs) > 0 {
				p.Frontends = append(p.Frontends, anyFrontend(t, i, rapid.SampledFrom(p.VIPs).Draw(t, "vip").Address))
			}
		}
		return p
	})
}

func anyFrontend(t *rapid.T, i int, vip string) lbapi.Frontend {
	f := lbapi.Frontend{Name: fmt.Sprintf("f%d", i), VIP: vip, Port: int32(8000 + i), Protocol: lbapi.TCP}
	f.AllowedSources = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"}), 0, 3, rapid.ID[string]).Draw(t, "sources")
	for j := range rapid.IntRange(0, 3).Draw(t, "backends") {
		f.Backends = append(f.Backends, lbapi.Backend{
			Name: fmt.Sprintf("b%d", j), Address: rapid.SampledFrom([]string{"10.9.0.1", "10.9.0.2"}).Draw(t, "address"),
			Port: int32(9000 + j), Drain: rapid.Bool().Draw(t, "drain"),
		})
	}
	ms := rapid.Int64Range(100, 60000)
	f.Check = lbapi.Check{
		Kind: lbapi.CheckTCP, Rise: rapid.Int32Range(1, 100).Draw(t, "rise"), Fall: rapid.Int32Range(1, 100).Draw(t, "fall"),
		Interval: time.Duration(ms.Draw(t, "interval")) * time.Millisecond, Timeout: time.Duration(ms.Draw(t, "timeout")) * time.Millisecond,
	}
	switch f.Check.Kind = rapid.SampledFrom([]lbapi.CheckKind{lbapi.CheckTCP, lbapi.CheckTLSReadyz, lbapi.CheckHTTP}).Draw(t, "kind"); f.Check.Kind {
	case lbapi.CheckTLSReadyz:
		f.Check.Path, f.Check.ServerName, f.Check.CA = "/readyz", "kubernetes.default.svc", lbapitest.CA()
	case lbapi.CheckHTTP:
		f.Check.Path, f.Check.Port = "/healthz", rapid.Int32Range(1, 65535).Draw(t, "port")
	case lbapi.CheckTCP:
	}
	return f
}
