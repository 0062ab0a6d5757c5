package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// change is a plan that HAProxy has found no fault with.
type change struct {
	h    *HAProxy
	next Rendering
	// before is the file that is in the way, whole.
	before string
}

// Prepare renders the plan and has HAProxy check it. It changes nothing that a
// running or starting HAProxy reads.
func (h *HAProxy) Prepare(ctx context.Context, plan lbapi.Plan) (daemon.Change, error) {
	next, err := Render(h.opts.Settings, plan)
	if err != nil {
		return nil, err
	}
	before, err := daemon.ReadFile(h.opts.ConfigFile)
	if err != nil {
		return nil, fmt.Errorf("read configuration of HAProxy: %w", err)
	}
	for path, content := range next.CAs {
		if err := keepFile(path, content); err != nil {
			return nil, fmt.Errorf("write authorities of a check: %w", err)
		}
	}
	c := &change{h: h, next: next, before: before}
	if c.before == string(next.Config) {
		return c, nil
	}
	return c, daemon.Judge(ctx, h.opts.ConfigFile, string(next.Config), h.opts.Program, "-c", "-f")
}

// keepFile writes a file that is named after its content, unless it is there.
func keepFile(path, content string) error {
	if there, err := daemon.ReadFile(path); err == nil && there == content {
		return nil
	}
	return daemon.ReplaceFile(path, content)
}

// Commit implements daemon.Change. HAProxy gets it in the way that disturbs least.
func (c *change) Commit(ctx context.Context) error {
	if c.before != string(c.next.Config) {
		// Of a file that it was not written for, a state says what servers had before.
		if err := c.h.forgetState(); err != nil {
			return err
		}
		if err := daemon.ReplaceFile(c.h.opts.ConfigFile, string(c.next.Config)); err != nil {
			return fmt.Errorf("write configuration of HAProxy: %w", err)
		}
	}
	if err := c.carryOut(ctx); err != nil {
		return errors.Join(err, c.takeBack())
	}
	c.h.done = c.next.Servers
	if err := c.h.doubt(c.next.Servers); err != nil {
		return err
	}
	c.h.sweep(c.next.CAs)
	return nil
}

// takeBack leaves what was for an HAProxy that starts. A reload that failed has written a
// state of the next servers, which HAProxy would prefer to what its file says of them.
func (c *change) takeBack() error {
	if c.before == "" || c.before == string(c.next.Config) {
		return c.h.doubt(c.next.Servers)
	}
	return errors.Join(c.h.forgetState(), daemon.ReplaceFile(c.h.opts.ConfigFile, c.before), c.h.doubt(c.h.done))
}

func (c *change) carryOut(ctx context.Context) error {
	shape, err := c.h.awaitShape(ctx)
	if err != nil {
		return err
	}
	running, err := c.h.servers(ctx)
	if err != nil {
		return err
	}
	if shape == c.next.Shape {
		if err = c.h.carryOutSteps(ctx, Diff(running, c.next.Servers)); err == nil {
			return nil
		}
		c.h.opts.Log.Warn("runtime API does not do it, reloading", "error", err)
	}
	return c.h.reload(ctx, c.next)
}

// awaitShape returns the shape of the HAProxy that runs. One that is being started
// is waited for.
func (h *HAProxy) awaitShape(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, h.opts.Patience)
	defer cancel()
	for {
		info, err := h.info(ctx)
		if err == nil {
			return info["description"], nil
		}
		if !daemon.Pause(ctx) {
			return "", fmt.Errorf("HAProxy does not answer: %w", err)
		}
	}
}

func (h *HAProxy) servers(ctx context.Context) ([]Running, error) {
	answer, err := socket(h.opts.Socket).ask(ctx, "show", "servers", "state")
	if err != nil {
		return nil, err
	}
	return parseState(answer)
}

// sweep removes authorities that no check needs any more.
func (h *HAProxy) sweep(keep map[string]string) {
	files, err := filepath.Glob(filepath.Join(h.opts.CADir, "*.pem"))
	if err != nil {
		return
	}
	for _, file := range files {
		if _, ok := keep[file]; ok {
			continue
		}
		if err := os.Remove(file); err != nil {
			h.opts.Log.Warn("authorities that nobody needs are still there", "file", file, "error", err)
		}
	}
}
