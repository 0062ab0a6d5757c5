package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Options is what a HAProxy needs.
type Options struct {
	Settings
	// Program is HAProxy's, for checking files.
	Program string
	// ConfigFile is what the running HAProxy was told to load.
	ConfigFile string
	// MasterSocket is the one of the running HAProxy, which is in master-worker mode.
	MasterSocket string
	// Patience is how long HAProxy may be away before a change fails: whoever runs it
	// starts it again meanwhile.
	Patience time.Duration
	// Grace is how long a server that is removed may finish what it has begun.
	Grace time.Duration
	Log   *slog.Logger
}

// HAProxy is an HAProxy that somebody else runs. Its methods may be called by one
// at a time, Stat, Cut and CutUnanswered apart.
type HAProxy struct {
	opts Options
	old  oldSessions
	// done are the servers of the last plan that was carried out.
	done []Server
}

// New returns an HAProxy, and writes a file that listens nowhere if there is none:
// without a file nobody can start it.
func New(opts Options) (*HAProxy, error) {
	h := &HAProxy{opts: opts, old: oldSessions{now: time.Now}}
	if err := os.MkdirAll(opts.CADir, 0o755); err != nil { //nolint:gosec // HAProxy's workers run as another user
		return nil, fmt.Errorf("make folder for authorities: %w", err)
	}
	if err := daemon.Sweep(opts.ConfigFile, opts.ConfigFile+".next", opts.StateFile); err != nil {
		return nil, err
	}
	if _, err := os.Stat(opts.StateFile); errors.Is(err, fs.ErrNotExist) {
		if err := daemon.ReplaceFile(opts.StateFile, stateHeader); err != nil {
			return nil, fmt.Errorf("write first state of HAProxy: %w", err)
		}
	}
	if _, err := os.Stat(opts.ConfigFile); !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	first, err := Render(opts.Settings, lbapi.Plan{})
	if err != nil {
		return nil, err
	}
	if err := daemon.ReplaceFile(opts.ConfigFile, string(first.Config)); err != nil {
		return nil, fmt.Errorf("write first configuration of HAProxy: %w", err)
	}
	return h, nil
}

// Ping tells whether an HAProxy answers on its runtime socket.
func Ping(ctx context.Context, path string) error {
	_, err := info(ctx, socket(path))
	return err
}

// Version returns the version of the HAProxy that runs.
func (h *HAProxy) Version(ctx context.Context) (string, error) {
	info, err := h.info(ctx)
	return info["Version"], err
}

func (h *HAProxy) info(ctx context.Context) (map[string]string, error) {
	return info(ctx, socket(h.opts.Socket))
}

func info(ctx context.Context, s socket) (map[string]string, error) {
	answer, err := s.ask(ctx, "show", "info")
	if err != nil {
		return nil, err
	}
	said := map[string]string{}
	for line := range strings.Lines(answer) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			said[name] = value
		}
	}
	if said["Version"] == "" {
		return nil, fmt.Errorf("HAProxy does not say who it is: %s", daemon.Shortened(answer))
	}
	return said, nil
}
