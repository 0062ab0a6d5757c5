package keepalived

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Options is what a Keepalived needs.
type Options struct {
	// Program is keepalived's, for checking files.
	Program string
	// ConfigFile is what the running keepalived was told to load, and PIDFile where it
	// was told to write its process ID.
	ConfigFile, PIDFile string
	// Probe is a program and its arguments that succeeds as long as HAProxy answers.
	Probe []string
	// Patience is how long keepalived may be away before a change fails, and how long
	// it may take to carry one out.
	Patience time.Duration
	// Held returns the addresses that this machine has now, with their interfaces.
	Held func() (map[netip.Addr]string, error)
}

// Keepalived is a keepalived that somebody else runs.
type Keepalived struct{ opts Options }

// New returns a Keepalived, and writes a file that holds nothing if there is none:
// without a file nobody can start it.
func New(opts Options) (*Keepalived, error) {
	k := &Keepalived{opts: opts}
	if _, err := os.Stat(opts.ConfigFile); !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	first, err := Render(Settings{}, lbapi.Plan{})
	if err != nil {
		return nil, err
	}
	if err := daemon.ReplaceFile(opts.ConfigFile, string(first)); err != nil {
		return nil, fmt.Errorf("write first configuration of keepalived: %w", err)
	}
	return k, nil
}

// Alive tells whether keepalived runs.
func (k *Keepalived) Alive() error {
	_, err := k.pid()
	return err
}

// pid returns keepalived's process ID. A file that was left behind may name a
// stranger, whom no signal of ours may reach.
func (k *Keepalived) pid() (int, error) {
	text, err := os.ReadFile(k.opts.PIDFile)
	if err != nil {
		return 0, fmt.Errorf("keepalived does not run: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		return 0, fmt.Errorf("keepalived does not run: %s holds no process ID", k.opts.PIDFile)
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || strings.TrimSpace(string(name)) != filepath.Base(k.opts.Program) {
		return 0, fmt.Errorf("keepalived does not run: process %d is not it", pid)
	}
	return pid, nil
}

// change is a plan that keepalived has found no fault with.
type change struct {
	k            *Keepalived
	plan         lbapi.Plan
	before, next string
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
	c := &change{k: k, plan: plan, before: before, next: string(next)}
	if c.before == c.next {
		return c, nil
	}
	return c, daemon.Judge(ctx, k.opts.ConfigFile, c.next, k.opts.Program, "-t", "-f")
}

func (k *Keepalived) own(address netip.Addr) (string, error) {
	held, err := k.opts.Held()
	if err != nil {
		return "", err
	}
	iface, ok := held[address]
	if !ok {
		return "", fmt.Errorf("no interface has this peer's address %s", address)
	}
	return iface, nil
}

// Commit implements daemon.Change.
func (c *change) Commit(ctx context.Context) error {
	if c.before == c.next {
		return c.await(ctx, func(int) error { return nil })
	}
	if err := daemon.ReplaceFile(c.k.opts.ConfigFile, c.next); err != nil {
		return fmt.Errorf("write configuration of keepalived: %w", err)
	}
	err := c.await(ctx, func(pid int) error {
		if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
			return fmt.Errorf("have keepalived reload: %w", err)
		}
		return c.settled(ctx)
	})
	if err != nil && c.before != "" {
		err = errors.Join(err, daemon.ReplaceFile(c.k.opts.ConfigFile, c.before))
	}
	return err
}

// await waits for a keepalived that is being started. One that has nothing to hold
// is not missed.
func (c *change) await(ctx context.Context, then func(pid int) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.k.opts.Patience)
	defer cancel()
	for {
		pid, err := c.k.pid()
		switch {
		case err == nil:
			return then(pid)
		case len(c.plan.VIPs) == 0:
			return nil
		case !daemon.Pause(ctx):
			return err
		}
	}
}

// settled waits until each network's VIPs are all here or none is, and those that
// are not wanted any more are gone. A standby has nothing to wait for.
func (c *change) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.k.opts.Patience)
	defer cancel()
	for {
		held, err := c.k.opts.Held()
		if err != nil {
			return err
		}
		missing, left := missingVIPs(c.plan, held), c.leftVIPs(held)
		if len(missing)+len(left) == 0 {
			return nil
		}
		if !daemon.Pause(ctx) {
			return fmt.Errorf("keepalived has not settled: not here yet are %q of networks that it holds, and not gone %q", missing, left)
		}
	}
}

// declaredVIP is how a VIP stands in a file.
var declaredVIP = regexp.MustCompile(`(?m)^ +([0-9a-f.:]+)/(?:32|128) dev `)

// leftVIPs returns the VIPs that are here although only the file before wanted them.
func (c *change) leftVIPs(held map[netip.Addr]string) []string {
	var left []string
	for _, declared := range declaredVIP.FindAllStringSubmatch(c.before, -1) {
		address, err := netip.ParseAddr(declared[1])
		if _, here := held[address]; err != nil || !here {
			continue
		}
		if !slices.ContainsFunc(c.plan.VIPs, func(v lbapi.VIP) bool { return v.Address == declared[1] }) {
			left = append(left, declared[1])
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

var versionPattern = regexp.MustCompile(`v(\d+(\.\d+)+)`)

// Version returns the version of the program.
func (k *Keepalived) Version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, k.opts.Program, "--version").CombinedOutput() //nolint:gosec // the program is the operator's choice
	if err != nil {
		return "", fmt.Errorf("ask keepalived for its version: %w", err)
	}
	found := versionPattern.FindStringSubmatch(string(out))
	if found == nil {
		return "", errors.New("keepalived does not say its version")
	}
	return found[1], nil
}
