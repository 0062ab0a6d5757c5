package lbapi

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// The patterns allow nothing that separates words, quotes, comments or expands in
// any configuration language: no space, line break, quote, '#', '$', '%', '\'.
var (
	namePattern      = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$`)
	interfacePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`)
	pathPattern      = regexp.MustCompile(`^/[A-Za-z0-9._/-]{0,127}$`)
)

func isInterface(s string) bool { return interfacePattern.MatchString(s) }

func isClusterName(s string) bool {
	namespace, name, two := strings.Cut(s, "/")
	return namePattern.MatchString(namespace) && (!two || namePattern.MatchString(name))
}

func (v *validator) name(field, s string) {
	if !namePattern.MatchString(s) {
		v.add(field, "%s is not a name: 1 to 128 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit", quote(s))
	}
}

func (v *validator) path(field, s string) {
	if !pathPattern.MatchString(s) {
		v.add(field, "%s is not a plain absolute path", quote(s))
	}
}

func (v *validator) within(field string, n, low, high int32) {
	if n < low || n > high {
		v.add(field, "is %d, must be %d to %d", n, low, high)
	}
}

func (v *validator) count(field string, n, most int) {
	if n > most {
		v.add(field, "has %d entries, at most %d are carried", n, most)
	}
}

func (v *validator) duration(field string, d, low, high time.Duration) {
	switch {
	case d < low || d > high:
		v.add(field, "is %s, must be %s to %s", d, low, high)
	case d%time.Millisecond != 0:
		v.add(field, "is %s, must be whole milliseconds", d)
	}
}

// address wants an IPv4 or IPv6 address that one host can have, in the one way
// to write it: an IPv4 address in IPv6 form or a zone would be a second name for
// the same thing.
func (v *validator) address(field, s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		v.add(field, "%s is not an IPv4 or IPv6 address", quote(s))
	case a.Is4In6() || a.Zone() != "" || a.String() != s:
		v.add(field, "%s is not in canonical form, which is %s", quote(s), a.Unmap().WithZone(""))
	case a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		v.add(field, "%s is not the address of one host", a)
	default:
		return a, true
	}
	return netip.Addr{}, false
}

func (v *validator) network(field, s string) (netip.Prefix, bool) {
	n, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		v.add(field, "%s is not a network such as 192.0.2.0/24", quote(s))
	case n.Addr().Is4In6() || n.Masked().String() != s:
		v.add(field, "%s is not in canonical form, which is %s", quote(s), n.Masked())
	default:
		return n, true
	}
	return netip.Prefix{}, false
}

func (v *validator) validateCheck(at string, c Check) {
	switch c.Kind {
	case CheckTLSReadyz:
		v.path(at+".path", c.Path)
		v.name(at+".serverName", c.ServerName)
		if !isCanonicalCA(c.CA) {
			v.add(at+".ca", "is not one or more certificates in PEM and nothing else, as CanonicalCA writes them")
		}
		if c.Port != 0 {
			v.add(at, "a TLSReadyz check has no port: it asks on the backend's own")
		}
	case CheckHTTP:
		v.path(at+".path", c.Path)
		v.within(at+".port", c.Port, 1, 65535)
		if c.ServerName != "" || c.CA != "" {
			v.add(at, "an HTTP check has no serverName or ca")
		}
	case CheckTCP:
		if c.Path != "" || c.Port != 0 || c.ServerName != "" || c.CA != "" {
			v.add(at, "a TCP check has no path, port, serverName or ca")
		}
	default:
		v.add(at+".kind", "%s is not a kind of check, TLSReadyz, HTTP and TCP are", quote(string(c.Kind)))
	}
	v.duration(at+".interval", c.Interval, 100*time.Millisecond, 5*time.Minute)
	v.duration(at+".timeout", c.Timeout, 10*time.Millisecond, time.Minute)
	v.within(at+".rise", c.Rise, 1, 100)
	v.within(at+".fall", c.Fall, 1, 100)
}

// maxBundle bounds the certificates of one check.
const maxBundle = 64 << 10

// CanonicalCA returns the certificates in bundle in the one form that a plan may
// hold: PEM blocks with no headers and nothing around them.
func CanonicalCA(bundle []byte) (string, error) {
	var out strings.Builder
	for n, rest := 1, bundle; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return "", fmt.Errorf("CA bundle holds a block of type %s, want certificates only", quote(block.Type))
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", fmt.Errorf("parse certificate %d of CA bundle: %w", n, err)
		}
		out.Write(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
	}
	if out.Len() == 0 {
		return "", errors.New("CA bundle holds no certificate in PEM")
	}
	return out.String(), nil
}

func isCanonicalCA(s string) bool {
	if len(s) > maxBundle {
		return false
	}
	canonical, err := CanonicalCA([]byte(s))
	return err == nil && canonical == s
}
