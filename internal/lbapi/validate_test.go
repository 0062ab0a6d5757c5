package lbapi_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

func TestValidateFindsNothingWrongWithAValidPlan(t *testing.T) {
	NewWithT(t).Expect(lbapi.Validate(newPlan())).To(BeEmpty())
	rapid.Check(t, func(t *rapid.T) {
		NewWithT(t).Expect(lbapi.Validate(anyPlan().Draw(t, "plan"))).To(BeEmpty())
	})
}

func TestValidateNamesTheFaultyField(t *testing.T) {
	frontend := func(change func(*lbapi.Frontend)) func(*lbapi.Plan) {
		return func(p *lbapi.Plan) { change(&p.Frontends[0]) }
	}
	backend := func(change func(*lbapi.Backend)) func(*lbapi.Plan) {
		return func(p *lbapi.Plan) { change(&p.Frontends[0].Backends[0]) }
	}
	check := func(change func(*lbapi.Check)) func(*lbapi.Plan) {
		return func(p *lbapi.Plan) { change(&p.Frontends[0].Check) }
	}
	for name, tt := range map[string]struct {
		with  func(*lbapi.Plan)
		field string
	}{
		"generation zero":           {func(p *lbapi.Plan) { p.Generation = 0 }, "generation"},
		"cluster with two slashes":  {func(p *lbapi.Plan) { p.Cluster = "a/b/c" }, "cluster"},
		"no peers":                  {func(p *lbapi.Plan) { p.Peers = nil }, "peers"},
		"self not among peers":      {func(p *lbapi.Plan) { p.Self = "stranger" }, "self"},
		"peer name twice":           {func(p *lbapi.Plan) { p.Peers[1].Name = p.Peers[0].Name }, "peers[1].name"},
		"peer address twice":        {func(p *lbapi.Plan) { p.Peers[1].Address = p.Peers[0].Address }, "peers[1].address"},
		"peer priority twice":       {func(p *lbapi.Plan) { p.Peers[1].Priority = p.Peers[0].Priority }, "peers[1].priority"},
		"priority of address owner": {func(p *lbapi.Plan) { p.Peers[0].Priority = 255 }, "peers[0].priority"},
		"peer on another network":   {func(p *lbapi.Plan) { p.Peers[1].Address = "198.51.100.3" }, "peers[1].address"},
		"VIP outside its network":   {func(p *lbapi.Plan) { p.VIPs[0].Network = "192.0.3.0/24" }, "vips[0].address"},
		"VIP of a peer":             {func(p *lbapi.Plan) { p.VIPs[0].Address = p.Peers[0].Address }, "vips[0].address"},
		"VIP twice":                 {func(p *lbapi.Plan) { p.VIPs = append(p.VIPs, p.VIPs[0]) }, "vips[1].address"},
		"network with host bits":    {func(p *lbapi.Plan) { p.VIPs[0].Network = "192.0.2.10/24" }, "vips[0].network"},
		"vrid zero":                 {func(p *lbapi.Plan) { p.VIPs[0].VRID = 0 }, "vips[0].vrid"},
		"vrid 256":                  {func(p *lbapi.Plan) { p.VIPs[0].VRID = 256 }, "vips[0].vrid"},
		"two vrids on one network": {func(p *lbapi.Plan) {
			p.VIPs = append(p.VIPs, lbapi.VIP{Address: "192.0.2.11", Network: "192.0.2.0/24", VRID: 52})
		}, "vips[1]"},
		"interface with an option": {func(p *lbapi.Plan) { p.VIPs[0].Interface = "eth0 -x" }, "vips[0].interface"},

		"frontend twice":               {func(p *lbapi.Plan) { p.Frontends = append(p.Frontends, p.Frontends[0]) }, "frontends[1].name"},
		"port twice":                   {func(p *lbapi.Plan) { p.Frontends = append(p.Frontends, p.Frontends[0]) }, "frontends[1].port"},
		"port zero":                    {frontend(func(f *lbapi.Frontend) { f.Port = 0 }), "frontends[0].port"},
		"port 65536":                   {frontend(func(f *lbapi.Frontend) { f.Port = 65536 }), "frontends[0].port"},
		"unknown VIP":                  {frontend(func(f *lbapi.Frontend) { f.VIP = "192.0.2.99" }), "frontends[0].vip"},
		"UDP":                          {frontend(func(f *lbapi.Frontend) { f.Protocol = "UDP" }), "frontends[0].protocol"},
		"no protocol":                  {frontend(func(f *lbapi.Frontend) { f.Protocol = "" }), "frontends[0].protocol"},
		"source not a CIDR":            {frontend(func(f *lbapi.Frontend) { f.AllowedSources = []string{"10.0.0.1"} }), "frontends[0].allowedSources[0]"},
		"name with a break":            {frontend(func(f *lbapi.Frontend) { f.Name = "a\nbind *:22" }), "frontends[0].name"},
		"name with a quote":            {frontend(func(f *lbapi.Frontend) { f.Name = `a"b` }), "frontends[0].name"},
		"name with a break at its end": {frontend(func(f *lbapi.Frontend) { f.Name = "a\n" }), "frontends[0].name"},

		"backend twice":             {frontend(func(f *lbapi.Frontend) { f.Backends = append(f.Backends, f.Backends[0]) }), "frontends[0].backends[1].name"},
		"backend port":              {backend(func(b *lbapi.Backend) { b.Port = -1 }), "frontends[0].backends[0].port"},
		"backend of unknown family": {backend(func(b *lbapi.Backend) { b.Address = "unix@/run/x" }), "frontends[0].backends[0].address"},
		"backend by host name":      {backend(func(b *lbapi.Backend) { b.Address = "localhost" }), "frontends[0].backends[0].address"},
		"backend with a zone":       {backend(func(b *lbapi.Backend) { b.Address = "fe80::1%eth0\n" }), "frontends[0].backends[0].address"},
		"backend in mapped form":    {backend(func(b *lbapi.Backend) { b.Address = "::ffff:192.0.2.4" }), "frontends[0].backends[0].address"},
		"backend in long form":      {backend(func(b *lbapi.Backend) { b.Address = "2001:DB8:0::1" }), "frontends[0].backends[0].address"},
		"backend everywhere":        {backend(func(b *lbapi.Backend) { b.Address = "0.0.0.0" }), "frontends[0].backends[0].address"},
		"backend of other family":   {backend(func(b *lbapi.Backend) { b.Address = "2001:db8::1" }), "frontends[0].backends[0].address"},
		"backend is the VIP":        {backend(func(b *lbapi.Backend) { b.Address = "192.0.2.10" }), "frontends[0].backends[0].address"},

		"check of unknown kind":   {check(func(c *lbapi.Check) { c.Kind = "ICMP" }), "frontends[0].check.kind"},
		"check without a CA":      {check(func(c *lbapi.Check) { c.CA = "" }), "frontends[0].check.ca"},
		"text before the CA":      {check(func(c *lbapi.Check) { c.CA = "x\n" + c.CA }), "frontends[0].check.ca"},
		"text after the CA":       {check(func(c *lbapi.Check) { c.CA += "x" }), "frontends[0].check.ca"},
		"broken block before CA":  {check(func(c *lbapi.Check) { c.CA = "-----BEGIN CERTIFICATE-----\nevil\n" + c.CA }), "frontends[0].check.ca"},
		"path with a header":      {check(func(c *lbapi.Check) { c.Path = "/readyz\r\nHost: x" }), "frontends[0].check.path"},
		"server name":             {check(func(c *lbapi.Check) { c.ServerName = "a b" }), "frontends[0].check.serverName"},
		"interval zero":           {check(func(c *lbapi.Check) { c.Interval = 0 }), "frontends[0].check.interval"},
		"timeout of a nanosecond": {check(func(c *lbapi.Check) { c.Timeout = time.Second + 1 }), "frontends[0].check.timeout"},
		"rise zero":               {check(func(c *lbapi.Check) { c.Rise = 0 }), "frontends[0].check.rise"},
		"TCP check with a path":   {check(func(c *lbapi.Check) { c.Kind = lbapi.CheckTCP }), "frontends[0].check"},
		"TCP check with a port":   {check(func(c *lbapi.Check) { c.Kind, c.Port = lbapi.CheckTCP, 80 }), "frontends[0].check"},
		"readyz with a port":      {check(func(c *lbapi.Check) { c.Port = 80 }), "frontends[0].check"},
		"HTTP check with a CA":    {check(func(c *lbapi.Check) { c.Kind, c.Port = lbapi.CheckHTTP, 80 }), "frontends[0].check"},
		"HTTP check without port": {check(func(c *lbapi.Check) { c.Kind = lbapi.CheckHTTP }), "frontends[0].check.port"},
		"HTTP check of port 2^16": {check(func(c *lbapi.Check) { c.Kind, c.Port = lbapi.CheckHTTP, 65536 }), "frontends[0].check.port"},
		"HTTP check of any path":  {check(func(c *lbapi.Check) { c.Kind, c.Path = lbapi.CheckHTTP, "/a HTTP/1.0" }), "frontends[0].check.path"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			faults := lbapi.Validate(newPlan(tt.with))
			fields := make([]string, len(faults))
			for i, f := range faults {
				fields[i] = f.Field
			}
			g.Expect(fields).To(ContainElement(tt.field), "%s", faults)
		})
	}
}

func TestValidateListsEveryFault(t *testing.T) {
	g := NewWithT(t)
	faults := lbapi.Validate(newPlan(func(p *lbapi.Plan) {
		p.Frontends[0].Port = 70000
		p.Frontends[0].Backends[0].Address = "nowhere"
		p.VIPs[0].VRID = 300
	}))
	g.Expect(faults).To(HaveLen(3))
	g.Expect(faults.String()).To(And(ContainSubstring("70000"), ContainSubstring("nowhere"), ContainSubstring("300")))
}

func TestFrontendsAreBoundedTogether(t *testing.T) {
	sums := func(frontends, backends, sources int) lbapi.Faults {
		return lbapi.Validate(newPlan(func(p *lbapi.Plan) {
			one := p.Frontends[0]
			one.Backends, one.AllowedSources, p.Frontends = nil, nil, nil
			for i := range backends {
				one.Backends = append(one.Backends, lbapi.Backend{Name: fmt.Sprint("b", i), Address: fmt.Sprintf("198.51.%d.%d", i/250, 1+i%250), Port: 80})
			}
			for i := range sources {
				one.AllowedSources = append(one.AllowedSources, fmt.Sprintf("10.%d.%d.0/24", i/250, i%250))
			}
			for i := range frontends {
				one.Name, one.Port = fmt.Sprint("f", i), int32(1000+i)
				p.Frontends = append(p.Frontends, one)
			}
		}))
	}
	g := NewWithT(t)
	g.Expect(sums(16, 1024, 0)).To(BeEmpty())
	g.Expect(sums(17, 1024, 0)).To(ConsistOf(HaveField("Field", "frontends[*].backends")))
	g.Expect(sums(64, 0, 1024)).To(BeEmpty())
	g.Expect(sums(65, 0, 1024)).To(ConsistOf(HaveField("Field", "frontends[*].allowedSources")))
}

func TestValidateBoundsItsAnswer(t *testing.T) {
	faults := lbapi.Validate(lbapi.Plan{Frontends: make([]lbapi.Frontend, 10000)})
	NewWithT(t).Expect(len(faults)).To(BeNumerically("<=", 200))
}

// TestHostileTextNeverPasses puts any text into each text field in turn: either
// the plan is refused, or the text is harmless in every configuration language.
func TestHostileTextNeverPasses(t *testing.T) {
	fields := map[string]func(*lbapi.Plan) *string{
		"cluster":    func(p *lbapi.Plan) *string { return &p.Cluster },
		"vip":        func(p *lbapi.Plan) *string { return &p.VIPs[0].Address },
		"network":    func(p *lbapi.Plan) *string { return &p.VIPs[0].Network },
		"interface":  func(p *lbapi.Plan) *string { return &p.VIPs[0].Interface },
		"peer":       func(p *lbapi.Plan) *string { return &p.Peers[1].Name },
		"address":    func(p *lbapi.Plan) *string { return &p.Peers[1].Address },
		"frontend":   func(p *lbapi.Plan) *string { return &p.Frontends[0].Name },
		"source":     func(p *lbapi.Plan) *string { return &p.Frontends[0].AllowedSources[0] },
		"backend":    func(p *lbapi.Plan) *string { return &p.Frontends[0].Backends[0].Name },
		"backend at": func(p *lbapi.Plan) *string { return &p.Frontends[0].Backends[0].Address },
		"path":       func(p *lbapi.Plan) *string { return &p.Frontends[0].Check.Path },
		"server":     func(p *lbapi.Plan) *string { return &p.Frontends[0].Check.ServerName },
	}
	harmless := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./:", r))
	}
	for name, field := range fields {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				// Half of the texts begin as something that would be accepted.
				p := newPlan()
				text := rapid.OneOf(rapid.String(), rapid.Map(rapid.String(), func(s string) string { return *field(&p) + s })).Draw(t, "text")
				*field(&p) = text
				faults := lbapi.Validate(p)
				if len(faults) == 0 && strings.ContainsFunc(text, func(r rune) bool { return !harmless(r) }) {
					t.Fatalf("%q was accepted", text)
				}
				if strings.ContainsAny(faults.String(), "\r\n\x00") {
					t.Fatalf("faults are not on one line: %s", faults)
				}
			})
		})
	}
}

func FuzzValidate(f *testing.F) {
	f.Add("name", "192.0.2.4", "192.0.2.0/24", int32(80))
	f.Add("a\"\n", "fe80::1%\n", "::/0", int32(-1))
	f.Fuzz(func(t *testing.T, name, address, network string, port int32) {
		p := newPlan(func(p *lbapi.Plan) {
			b := &p.Frontends[0].Backends[0]
			b.Name, b.Address, b.Port = name, address, port
			p.Frontends[0].AllowedSources[0] = network
		})
		if faults := lbapi.Validate(p); len(faults) == 0 && strings.ContainsAny(name+address+network, " \t\r\n\"'#$%\\{}`;") {
			t.Fatalf("accepted %q %q %q", name, address, network)
		}
	})
}

func TestCloneSharesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlan().Draw(t, "plan")
		before := lbapi.Hash(p)
		c := p.Clone()
		if !reflect.DeepEqual(p, c) {
			t.Fatal("clone differs")
		}
		for i := range c.Frontends {
			for j := range c.Frontends[i].Backends {
				c.Frontends[i].Backends[j].Port++
			}
			for j := range c.Frontends[i].AllowedSources {
				c.Frontends[i].AllowedSources[j] = "x"
			}
			c.Frontends[i].Name = "x"
		}
		for i := range c.Peers {
			c.Peers[i].Priority++
		}
		for i := range c.VIPs {
			c.VIPs[i].VRID++
		}
		if lbapi.Hash(p) != before {
			t.Fatal("a change of the clone changed the plan")
		}
	})
}
