package bootstrap_test

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
)

func TestErrorsNameTheField(t *testing.T) {
	nic := func(f func(*bootstrap.NIC)) func(*bootstrap.Input) {
		return func(in *bootstrap.Input) { f(&in.NICs[0]) }
	}
	additions := func(f func(*bootstrap.Additions)) func(*bootstrap.Input) {
		return func(in *bootstrap.Input) { f(&in.Additions) }
	}
	file := func(f bootstrap.File) func(*bootstrap.Input) {
		return additions(func(a *bootstrap.Additions) { a.Files = []bootstrap.File{f} })
	}
	mirror := func(m ...bootstrap.RegistryMirror) func(*bootstrap.Input) {
		return additions(func(a *bootstrap.Additions) { a.RegistryMirrors = m })
	}
	to := []string{"https://mirror.example"}
	for _, tc := range []struct {
		name  string
		field string
		with  func(*bootstrap.Input)
	}{
		{"VM that is no UUID", "identity.vm", func(in *bootstrap.Input) { in.Identity.VM = "shop" }},
		{"hostname with a dot", "identity.hostname", func(in *bootstrap.Input) { in.Identity.Hostname = "a.b" }},
		{"hostname too long", "identity.hostname", func(in *bootstrap.Input) { in.Identity.Hostname = strings.Repeat("a", 64) }},
		{"hostname with a line break", "identity.hostname", func(in *bootstrap.Input) { in.Identity.Hostname = "a\n" }},
		{"no OS", "os", func(in *bootstrap.Input) { in.OS = "" }},
		{"Ignition", "format", func(in *bootstrap.Input) { in.Format = bootstrap.Ignition }},
		{"unknown format", "format", func(in *bootstrap.Input) { in.Format = "toml" }},
		{"user data of another kind", "userData", func(in *bootstrap.Input) { in.UserData = []byte("<script>") }},
		{"user data that is binary", "userData", func(in *bootstrap.Input) { in.UserData = []byte("#cloud-config\n\xff") }},
		{"user data too large", "userData", func(in *bootstrap.Input) { in.UserData = append(in.UserData, make([]byte, bootstrap.MaxBytes)...) }},
		{"no adapter", "nics", func(in *bootstrap.Input) { in.NICs = nil }},
		{"one MAC twice", "nics[1].mac", func(in *bootstrap.Input) {
			second := in.NICs[0]
			second.MAC = strings.ToUpper(second.MAC)
			in.NICs = append(in.NICs, second)
		}},
		{"MAC with dashes", "nics[0].mac", nic(func(n *bootstrap.NIC) { n.MAC = "02-aa-bb-cc-dd-ee" })},
		{"MAC of eight octets", "nics[0].mac", nic(func(n *bootstrap.NIC) { n.MAC = "02:aa:bb:cc:dd:ee:ff:00" })},
		{"no address", "nics[0].addresses", nic(func(n *bootstrap.NIC) { n.Addresses, n.Gateways = nil, nil })},
		{"zero address", "nics[0].addresses[2]", nic(func(n *bootstrap.NIC) { n.Addresses = append(n.Addresses, netip.Prefix{}) })},
		{"gateway elsewhere", "nics[0].gateways[0]", nic(func(n *bootstrap.NIC) { n.Gateways[0] = netip.MustParseAddr("10.9.9.1") })},
		{"gateway that is the VM", "nics[0].gateways[0]", nic(func(n *bootstrap.NIC) { n.Gateways[0] = n.Addresses[0].Addr() })},
		{"two gateways of a family", "nics[0].gateways[1]", nic(func(n *bootstrap.NIC) { n.Gateways[1] = netip.MustParseAddr("10.1.2.2") })},
		{"zero gateway", "nics[0].gateways[0]", nic(func(n *bootstrap.NIC) { n.Gateways[0] = netip.Addr{} })},
		{"zero nameserver", "nics[0].nameservers[0]", nic(func(n *bootstrap.NIC) { n.Nameservers[0] = netip.Addr{} })},
		{"search domain", "nics[0].searchDomains[0]", nic(func(n *bootstrap.NIC) { n.SearchDomains[0] = "a..b" })},
		{"MTU too small", "nics[0].mtu", nic(func(n *bootstrap.NIC) { n.MTU = 100 })},
		{"NTP server", "additions.ntpServers[0]", additions(func(a *bootstrap.Additions) { a.NTPServers = []string{"a b"} })},
		{"trust bundle that is no PEM", "additions.trustBundle", additions(func(a *bootstrap.Additions) { a.TrustBundle = []byte("x") })},
		{"trust bundle with a key", "additions.trustBundle", additions(func(a *bootstrap.Additions) {
			a.TrustBundle = []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
		})},
		{"trust bundle with a broken certificate", "additions.trustBundle", additions(func(a *bootstrap.Additions) {
			a.TrustBundle = []byte(certificate + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
		})},
		{"mirror host that leaves its folder", "additions.registryMirrors[0].host", mirror(bootstrap.RegistryMirror{Host: "../x", Endpoints: to})},
		{"one mirror host twice", "additions.registryMirrors[1].host", mirror(
			bootstrap.RegistryMirror{Host: "a", Endpoints: to}, bootstrap.RegistryMirror{Host: "a", Endpoints: to})},
		{"mirror without endpoint", "additions.registryMirrors[0].endpoints", mirror(bootstrap.RegistryMirror{Host: "a"})},
		{"endpoint that breaks out of its quotes", "additions.registryMirrors[0].endpoints[0]", mirror(
			bootstrap.RegistryMirror{Host: "a", Endpoints: []string{`https://a/"]`}})},
		{"proxy of another scheme", "additions.proxy.http", additions(func(a *bootstrap.Additions) { a.Proxy.HTTP = "socks5://a" })},
		{"proxy with a line break", "additions.proxy.https", additions(func(a *bootstrap.Additions) { a.Proxy.HTTPS = "http://a/\nX=y" })},
		{"no-proxy with a quote", "additions.proxy.noProxy[0]", additions(func(a *bootstrap.Additions) { a.Proxy.NoProxy = []string{`a"`} })},
		{"user name", "additions.user.name", additions(func(a *bootstrap.Additions) { a.User = &bootstrap.User{Name: "Ops"} })},
		{"key with a line break", "additions.user.authorizedKeys[0]", additions(func(a *bootstrap.Additions) {
			a.User = &bootstrap.User{Name: "ops", AuthorizedKeys: []string{"ssh-rsa AAAA\nssh-rsa BBBB"}}
		})},
		{"relative path", "additions.files[0].path", file(bootstrap.File{Path: "etc/x"})},
		{"path with dots", "additions.files[0].path", file(bootstrap.File{Path: "/etc/../x"})},
		{"permissions", "additions.files[0].permissions", file(bootstrap.File{Path: "/x", Permissions: "rw-r--r--"})},
		{"owner", "additions.files[0].owner", file(bootstrap.File{Path: "/x", Owner: "a b"})},
		{"load balancer without configuration", "loadBalancer.config", func(in *bootstrap.Input) { in.LoadBalancer = &bootstrap.LoadBalancer{} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := bootstrap.Seed(machine(tc.with))
			var field *bootstrap.FieldError
			g.Expect(errors.As(err, &field)).To(BeTrue(), "%v", err)
			g.Expect(field.Field).To(Equal(tc.field))
			g.Expect(err.Error()).To(ContainSubstring(tc.field + ": "))
		})
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	g := NewWithT(t)
	_, err := bootstrap.Seed(bootstrap.Input{})
	for _, field := range []string{"os", "identity.vm", "identity.hostname", "nics"} {
		g.Expect(err).To(MatchError(ContainSubstring(field + ": ")))
	}
}

func TestNotSupportedIsToldFromInvalid(t *testing.T) {
	g := NewWithT(t)
	_, err := bootstrap.Seed(machine(func(in *bootstrap.Input) { in.Format = bootstrap.Ignition }))
	g.Expect(errors.Is(err, bootstrap.ErrNotSupported)).To(BeTrue())
	_, err = bootstrap.Seed(machine(func(in *bootstrap.Input) { in.OS = "Plan9" }))
	g.Expect(err).To(HaveOccurred())
	g.Expect(errors.Is(err, bootstrap.ErrNotSupported)).To(BeFalse())
}

func TestErrorsHoldNoSecrets(t *testing.T) {
	g := NewWithT(t)
	const secret = "hunter2"
	_, err := bootstrap.Seed(machine(func(in *bootstrap.Input) {
		in.OS = "none"
		in.UserData = []byte(secret)
		in.LoadBalancer = &bootstrap.LoadBalancer{Config: []byte(secret)}
		in.Additions = bootstrap.Additions{
			TrustBundle:     []byte(secret),
			RegistryMirrors: []bootstrap.RegistryMirror{{Host: "a", Endpoints: []string{"ftp://u:" + secret + "@a"}}},
			Proxy:           bootstrap.Proxy{HTTP: "ftp://u:" + secret + "@a", HTTPS: "http://u:" + secret + "@\x00"},
			User:            &bootstrap.User{Name: "ops", AuthorizedKeys: []string{secret}},
			Files:           []bootstrap.File{{Path: "x", Content: []byte(secret)}},
		}
	}))
	g.Expect(err).To(HaveOccurred())
	g.Expect(err.Error()).NotTo(ContainSubstring(secret))
}

func TestSeedOfTheLargestSizeIsMade(t *testing.T) {
	g := NewWithT(t)
	in := machine()
	// Base64 takes four bytes for three, and line breaks besides.
	in.UserData = append([]byte("#cloud-config\n"), bytes.Repeat([]byte("#"), bootstrap.MaxBytes/100*72)...)
	image, err := bootstrap.Seed(in)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(len(image)).To(BeNumerically("~", bootstrap.MaxBytes, bootstrap.MaxBytes/20))
}
