package keepalived

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
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
	// Probe is that of Settings.
	Probe []string
	// Patience is how long keepalived may be away before a change fails, and how long
	// it may take to carry one out.
	Patience time.Duration
	// Held returns the addresses that this machine has now, with their interfaces.
	Held func() (map[netip.Addr]string, error)
	// Strip takes an address away that keepalived left behind.
	Strip func(ctx context.Context, address netip.Addr, iface string) error
	Log   *slog.Logger
}

// Keepalived is a keepalived that somebody else runs.
type Keepalived struct{ opts Options }

// New returns a Keepalived, and writes a file that holds nothing if there is none:
// without a file nobody can start it.
func New(opts Options) (*Keepalived, error) {
	k := &Keepalived{opts: opts}
	if err := daemon.Sweep(opts.ConfigFile, opts.ConfigFile+".next", k.unsettledFile()); err != nil {
		return nil, err
	}
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
