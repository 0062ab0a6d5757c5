package gate

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"time"
)

// longest is after how long the kernel opens the gate by itself: an agent that dies
// must not leave a VIP behind that nobody can connect to.
const longest = 5 * time.Second

// table is that of the gate alone.
const table = "inet capstan-lb-gate"

// Gate holds connections back by a table of nftables.
type Gate struct {
	// Program is nft.
	Program string
}

// Close holds back whoever connects anew to one of the addresses.
func (g Gate) Close(ctx context.Context, vips []netip.Addr) error {
	return g.load(ctx, "close the gate to VIPs", rules(vips))
}

// Open lets everybody through again.
func (g Gate) Open(ctx context.Context) error {
	return g.load(ctx, "open the gate to VIPs", nothing)
}

// nothing is a script that takes the table away, whether or not it is there.
const nothing = "table " + table + "\ndelete table " + table + "\n"

// rules is a script that replaces the table by one for these addresses.
func rules(vips []netip.Addr) string {
	var script strings.Builder
	script.WriteString(nothing + "table " + table + " {\n")
	var drops []string
	for _, family := range []struct {
		set, kind, field string
		is               func(netip.Addr) bool
	}{
		{"four", "ipv4_addr", "ip", netip.Addr.Is4},
		{"six", "ipv6_addr", "ip6", netip.Addr.Is6},
	} {
		var held []string
		for _, vip := range vips {
			if vip = vip.Unmap().WithZone(""); family.is(vip) {
				held = append(held, fmt.Sprintf("%s timeout %ds", vip, int(longest.Seconds())))
			}
		}
		if len(held) == 0 {
			continue
		}
		fmt.Fprintf(&script, "\tset %s { type %s; flags timeout; elements = { %s } }\n", family.set, family.kind, strings.Join(held, ", "))
		drops = append(drops, fmt.Sprintf("\t\t%s daddr @%s tcp flags & (fin|syn|rst|ack) == syn drop\n", family.field, family.set))
	}
	fmt.Fprintf(&script, "\tchain input {\n\t\ttype filter hook input priority -150; policy accept;\n%s\t}\n}\n", strings.Join(drops, ""))
	return script.String()
}

// load has the kernel take a script, as a whole or not at all.
func (g Gate) load(ctx context.Context, what, script string) error {
	cmd := exec.CommandContext(ctx, g.Program, "-f", "-") //nolint:gosec // whoever starts the agent names the program
	var said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %.500s", what, err, strings.TrimSpace(said.String()))
	}
	return nil
}
