package bootstrap

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

// MaxBytes bounds a seed. User data of a control plane is some 100 KiB; what is
// far beyond is a mistake, and would be held in memory many times over.
const MaxBytes = 16 << 20

var (
	uuidForm        = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	labelForm       = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	userForm        = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	ownerForm       = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}(:[a-z_][a-z0-9_-]{0,31})?$`)
	permissionsForm = regexp.MustCompile(`^0[0-7]{3,4}$`)
	keyForm         = regexp.MustCompile(`^[a-z][a-z0-9@.-]* [A-Za-z0-9+/]+=*( [ -~]*)?$`)
	registryForm    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)
	noProxyForm     = regexp.MustCompile(`^[A-Za-z0-9.*:_/\[\]-]+$`)
)

func (in *Input) validate() error {
	var p problems
	if !uuidForm.MatchString(in.Identity.VM) {
		p.add("identity.vm", "%q is not a UUID in lower case", in.Identity.VM)
	}
	if !labelForm.MatchString(in.Identity.Hostname) {
		p.add("identity.hostname", "%q is not a DNS label of at most 63 lower-case letters, digits and dashes", in.Identity.Hostname)
	}
	if len(in.NICs) == 0 {
		p.add("nics", "there is none")
	}
	macs := map[string]bool{}
	for i := range in.NICs {
		field := fmt.Sprintf("nics[%d]", i)
		in.NICs[i].validate(&p, field)
		if mac := strings.ToLower(in.NICs[i].MAC); macs[mac] {
			p.add(field+".mac", "%s is the address of two adapters", mac)
		} else {
			macs[mac] = true
		}
	}
	in.validateUserData(&p)
	in.Additions.validate(&p)
	in.validateOS(&p)
	if in.LoadBalancer != nil && len(in.LoadBalancer.Config) == 0 {
		p.add("loadBalancer.config", "is empty")
	}
	return p.err()
}

func (in *Input) validateOS(p *problems) {
	switch in.OS {
	case Linux:
		in.Additions.validateFiles(p)
	case Windows:
		in.validateWindows(p)
		validateWindowsFiles(p, in.Additions.Files)
	default:
		p.add("os", "%q is unknown", in.OS)
	}
}

func (in *Input) validateUserData(p *problems) {
	switch in.Format {
	case CloudConfig, "":
	case Ignition:
		p.add("format", "user data in the format ignition is %w", ErrNotSupported)
		return
	default:
		p.add("format", "%q is unknown", in.Format)
		return
	}
	if len(in.UserData) == 0 {
		return
	}
	if !utf8.Valid(in.UserData) {
		p.add("userData", "is not UTF-8 text")
	} else if partType(in.UserData) == "" {
		p.add("userData", "begins with neither %q nor %q", cloudConfigMark, jinjaMark)
	}
}

func (n *NIC) validate(p *problems, field string) {
	if mac, err := net.ParseMAC(n.MAC); err != nil || len(mac) != 6 || strings.Count(n.MAC, ":") != 5 {
		p.add(field+".mac", "%q is not six octets with colons", n.MAC)
	}
	if len(n.Addresses) == 0 {
		p.add(field+".addresses", "there is none")
	}
	for i, a := range n.Addresses {
		if !a.IsValid() || a.Addr().Zone() != "" || a.Addr().Is4In6() {
			p.add(fmt.Sprintf("%s.addresses[%d]", field, i), "is not an address with a prefix length")
		}
	}
	seen := map[bool]bool{}
	for i, g := range n.Gateways {
		at := fmt.Sprintf("%s.gateways[%d]", field, i)
		switch {
		case !g.IsValid() || g.Zone() != "" || g.Is4In6():
			p.add(at, "is not an address")
			continue
		case seen[g.Is4()]:
			p.add(at, "%s is a second one of its address family", g)
		case !within(g, n.Addresses):
			p.add(at, "%s lies in no subnet of the adapter", g)
		}
		seen[g.Is4()] = true
	}
	for i, s := range n.Nameservers {
		if !s.IsValid() || s.Zone() != "" {
			p.add(fmt.Sprintf("%s.nameservers[%d]", field, i), "is not an address")
		}
	}
	for i, d := range n.SearchDomains {
		if !domain(d) {
			p.add(fmt.Sprintf("%s.searchDomains[%d]", field, i), "%q is not a DNS name", d)
		}
	}
	// 576 is the least that any IPv4 host must take.
	if n.MTU != 0 && (n.MTU < 576 || n.MTU > 65535) {
		p.add(field+".mtu", "%d is not between 576 and 65535", n.MTU)
	}
}

// within tells whether an address is in one of the subnets, and not an address
// of the adapter itself.
func within(a netip.Addr, subnets []netip.Prefix) bool {
	found := false
	for _, s := range subnets {
		if !s.IsValid() || s.Addr() == a {
			continue
		}
		found = found || s.Contains(a)
	}
	return found
}

func domain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.ToLower(s), ".") {
		if !labelForm.MatchString(label) {
			return false
		}
	}
	return true
}

func (a *Additions) validate(p *problems) {
	for i, s := range a.NTPServers {
		if _, err := netip.ParseAddr(s); err != nil && !domain(s) {
			p.add(fmt.Sprintf("additions.ntpServers[%d]", i), "%q is neither an address nor a DNS name", s)
		}
	}
	if len(a.TrustBundle) > 0 {
		if _, err := certificates(a.TrustBundle); err != nil {
			p.add("additions.trustBundle", "%w", err)
		}
	}
	a.validateMirrors(p)
	a.Proxy.validate(p)
	if a.User != nil {
		if !userForm.MatchString(a.User.Name) {
			p.add("additions.user.name", "%q is not a user name", a.User.Name)
		}
		for i, k := range a.User.AuthorizedKeys {
			if !keyForm.MatchString(k) {
				p.add(fmt.Sprintf("additions.user.authorizedKeys[%d]", i), "is not a public key in the form of authorized_keys")
			}
		}
	}
}

func (a *Additions) validateMirrors(p *problems) {
	hosts := map[string]bool{}
	for i, m := range a.RegistryMirrors {
		field := fmt.Sprintf("additions.registryMirrors[%d]", i)
		if m.Host != defaultRegistry && !registryForm.MatchString(m.Host) {
			p.add(field+".host", "%q is not a host with an optional port", m.Host)
		}
		if hosts[m.Host] {
			p.add(field+".host", "%q is listed twice", m.Host)
		}
		hosts[m.Host] = true
		if len(m.Endpoints) == 0 {
			p.add(field+".endpoints", "there is none")
		}
		for j, e := range m.Endpoints {
			validateURL(p, fmt.Sprintf("%s.endpoints[%d]", field, j), e)
		}
	}
}

func (x *Proxy) validate(p *problems) {
	if x.HTTP != "" {
		validateURL(p, "additions.proxy.http", x.HTTP)
	}
	if x.HTTPS != "" {
		validateURL(p, "additions.proxy.https", x.HTTPS)
	}
	for i, n := range x.NoProxy {
		if !noProxyForm.MatchString(n) {
			p.add(fmt.Sprintf("additions.proxy.noProxy[%d]", i), "%q is not a host, domain or CIDR", n)
		}
	}
}

// validateURL does not show the URL: it may hold a password.
func validateURL(p *problems, field, s string) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsFunc(s, unquotable) {
		p.add(field, "is not an http or https URL")
	}
}

// unquotable are characters that cannot stand in quotes in all of systemd's
// units, /etc/environment and TOML.
func unquotable(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'\\`$", r) }

func (a *Additions) validateFiles(p *problems) {
	paths := map[string]bool{}
	for i, f := range a.Files {
		field := fmt.Sprintf("additions.files[%d]", i)
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" || strings.ContainsFunc(f.Path, unquotable) {
			p.add(field+".path", "%q is not a clean absolute path", f.Path)
		}
		if paths[f.Path] {
			p.add(field+".path", "%q is listed twice", f.Path)
		}
		paths[f.Path] = true
		if f.Permissions != "" && !permissionsForm.MatchString(f.Permissions) {
			p.add(field+".permissions", "%q is not octal, such as 0644", f.Permissions)
		}
		if f.Owner != "" && !ownerForm.MatchString(f.Owner) {
			p.add(field+".owner", "%q is not user:group", f.Owner)
		}
	}
}

// certificates splits a bundle. cloud-init writes each to a file of its own.
func certificates(bundle []byte) ([]string, error) {
	var certs []string
	for rest := bundle; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if len(strings.TrimSpace(string(rest))) > 0 {
				return nil, fmt.Errorf("has something other than PEM blocks after certificate %d", len(certs))
			}
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("has a PEM block that is no certificate after certificate %d", len(certs))
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read", len(certs)+1)
		}
		certs = append(certs, string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})))
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("has no certificate")
	}
	return certs, nil
}
