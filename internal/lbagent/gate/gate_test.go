package gate

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestOnlyNewConnectionsToTheseAddressesAreHeldBack(t *testing.T) {
	g := NewWithT(t)
	g.Expect(rules([]netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10"), netip.MustParseAddr("::ffff:192.0.2.11")})).To(Equal(
		`table inet capstan-lb-gate
delete table inet capstan-lb-gate
table inet capstan-lb-gate {
	set four { type ipv4_addr; flags timeout; elements = { 192.0.2.10 timeout 5s, 192.0.2.11 timeout 5s } }
	set six { type ipv6_addr; flags timeout; elements = { 2001:db8::10 timeout 5s } }
	chain input {
		type filter hook input priority -150; policy accept;
		ip daddr @four tcp flags & (fin|syn|rst|ack) == syn drop
		ip6 daddr @six tcp flags & (fin|syn|rst|ack) == syn drop
	}
}
`))
	g.Expect(rules(nil)).NotTo(ContainSubstring("drop"))
}

func TestWhatNftSaysIsPassedOn(t *testing.T) {
	g := NewWithT(t)
	program := filepath.Join(t.TempDir(), "nft")
	g.Expect(os.WriteFile(program, []byte("#!/bin/sh\ncat >\"$0.said\"; echo no such table >&2; exit 1\n"), 0o700)).To(Succeed())
	g.Expect(Gate{Program: program}.Open(t.Context())).To(MatchError(ContainSubstring("no such table")))
	g.Expect(os.ReadFile(program + ".said")).To(BeEquivalentTo(nothing))
	g.Expect(Gate{Program: program + ".none"}.Close(t.Context(), nil)).To(MatchError(os.ErrNotExist))
}
