package keepalived

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// stripAfter is how long keepalived may take to give a VIP up after a reload. One that
// was killed and started again without the VIP never does: it does not know of it.
const stripAfter = 2 * time.Second

// change is a plan that keepalived has found no fault with.
type change struct {
	k            *Keepalived
	plan         lbapi.Plan
	before, next string
	// unsettled are the VIPs of changes that did not come to an end: whatever the file
	// says, keepalived may run with another one. Empty after changes that did.
	unsettled string
}

// Prepare renders the plan and has keepalived check it.
func (k *Keepalived) Prepare(ctx context.Context, plan lbapi.Plan) (daemon.Change, error) {
	next, err := Render(Settings{Probe: k.opts.Probe, Own: k.own}, plan)
	if err != nil {
		return nil, err
	}
	before, err := daemon.ReadFile(k.opts.ConfigFile)
	if err != nil {
		return nil, fmt.Errorf("read configuration of keepalived: %w", err)
	}
	unsettled, err := daemon.ReadFile(k.unsettledFile())
	if err != nil {
		return nil, fmt.Errorf("read what keepalived was last told: %w", err)
	}
	c := &change{k: k, plan: plan, before: before, next: string(next), unsettled: unsettled}
	if c.before == c.next {
		return c, nil
	}
	return c, daemon.Judge(ctx, k.opts.ConfigFile, c.next, k.opts.Program, "-t", "-f")
}

// unsettledFile is there from before a change until keepalived has carried it out, so
// that the next one knows of it, also when the agent was killed in between.
func (k *Keepalived) unsettledFile() string { return k.opts.ConfigFile + ".unsettled" }

// Commit implements daemon.Change.
func (c *change) Commit(ctx context.Context) error {
	if c.before == c.next && c.unsettled == "" {
		return c.await(ctx, func(int) error { return nil })
	}
	vips := append(strings.Fields(c.unsettled), declared(c.before+c.next)...)
	slices.Sort(vips)
	c.unsettled = strings.Join(slices.Compact(vips), "\n") + "\n"
	if err := daemon.ReplaceFile(c.k.unsettledFile(), c.unsettled); err != nil {
		return fmt.Errorf("note that keepalived is to change: %w", err)
	}
	if c.before != c.next {
		if err := daemon.ReplaceFile(c.k.opts.ConfigFile, c.next); err != nil {
			return fmt.Errorf("write configuration of keepalived: %w", err)
		}
	}
	err := c.await(ctx, func(pid int) error {
		if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
			return fmt.Errorf("have keepalived reload: %w", err)
		}
		return c.settled(ctx)
	})
	switch {
	case err == nil:
		if err = os.Remove(c.k.unsettledFile()); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	case c.before != "" && c.before != c.next:
		err = errors.Join(err, daemon.ReplaceFile(c.k.opts.ConfigFile, c.before))
	}
	return err
}

// await waits for a keepalived that is being started. One that has nothing to hold
// is not missed, but for what it left behind.
func (c *change) await(ctx context.Context, then func(pid int) error) error {
	awaiting, cancel := context.WithTimeout(ctx, c.k.opts.Patience)
	defer cancel()
	for {
		pid, err := c.k.pid()
		switch {
		case err == nil:
			return then(pid)
		case len(c.plan.VIPs) == 0:
			return c.settled(ctx)
		case !daemon.Pause(awaiting):
			return err
		}
	}
}

// settled waits until each network's VIPs are all here or none is, and those that
// are not wanted any more are gone. A standby has nothing to wait for.
func (c *change) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.k.opts.Patience)
	defer cancel()
	began, stripped := time.Now(), false
	for {
		held, err := c.k.opts.Held()
		if err != nil {
			return err
		}
		missing, left := missingVIPs(c.plan, held), c.leftVIPs(held)
		if len(missing)+len(left) == 0 {
			return nil
		}
		if !stripped && len(left) > 0 && time.Since(began) > min(stripAfter, c.k.opts.Patience/2) {
			stripped = true
			if err := c.strip(ctx, left, held); err != nil {
				return err
			}
			continue
		}
		if !daemon.Pause(ctx) {
			return fmt.Errorf("keepalived has not settled: not here yet are %q of networks that it holds, and not gone %q", missing, left)
		}
	}
}

// strip takes VIPs away that keepalived, which was told that it has them no more, has
// not.
func (c *change) strip(ctx context.Context, left []string, held map[netip.Addr]string) error {
	for _, vip := range left {
		address, err := netip.ParseAddr(vip)
		if err != nil {
			return err
		}
		c.k.opts.Log.Warn("keepalived does not know of a VIP that it left behind, taking it away", "vip", vip, "interface", held[address])
		if err := c.k.opts.Strip(ctx, address, held[address]); err != nil {
			return fmt.Errorf("take away VIP %s that keepalived left behind: %w", vip, err)
		}
	}
	return nil
}

// declaredVIP is how a VIP stands in a file.
var declaredVIP = regexp.MustCompile(`(?m)^ +([0-9a-f.:]+)/(?:32|128) dev `)

// declared returns the VIPs of a file.
func declared(file string) []string {
	var vips []string
	for _, found := range declaredVIP.FindAllStringSubmatch(file, -1) {
		vips = append(vips, found[1])
	}
	return vips
}

// leftVIPs returns the VIPs that are here although only earlier files wanted them.
func (c *change) leftVIPs(held map[netip.Addr]string) []string {
	earlier := append(strings.Fields(c.unsettled), declared(c.before)...)
	slices.Sort(earlier)
	var left []string
	for _, vip := range slices.Compact(earlier) {
		address, err := netip.ParseAddr(vip)
		if _, here := held[address]; err != nil || !here {
			continue
		}
		if !slices.ContainsFunc(c.plan.VIPs, func(v lbapi.VIP) bool { return v.Address == vip }) {
			left = append(left, vip)
		}
	}
	return left
}

// missingVIPs returns the VIPs that are not here although others of their network
// are.
func missingVIPs(plan lbapi.Plan, held map[netip.Addr]string) []string {
	some := map[string]bool{}
	isHeld := func(v lbapi.VIP) bool {
		address, err := netip.ParseAddr(v.Address)
		_, ok := held[address]
		return err == nil && ok
	}
	for _, v := range plan.VIPs {
		some[v.Network] = some[v.Network] || isHeld(v)
	}
	var missing []string
	for _, v := range plan.VIPs {
		if some[v.Network] && !isHeld(v) {
			missing = append(missing, v.Address)
		}
	}
	return missing
}
