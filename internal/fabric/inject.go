package fabric

import (
	"context"
	"fmt"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// Inject makes calls to come fail.
func (a *Admin) Inject(_ context.Context, injection fabricapi.Injection) (fabricapi.None, error) {
	return a.change(func(*tx) error {
		injection.Times = max(injection.Times, 1)
		a.w.injections = append(a.w.injections, &injection)
		return nil
	})
}

// ClearInjections ends all failures to come.
func (a *Admin) ClearInjections(context.Context, fabricapi.None) (fabricapi.None, error) {
	return a.change(func(*tx) error {
		a.w.injections = nil
		return nil
	})
}

// injected returns the failure that a call shall have, if any.
func (w *World) injected(host, op string) (found *fabricapi.Injection) {
	_ = w.locked(func() error {
		for i, in := range w.injections {
			if (in.Host != "" && in.Host != host) || (in.Op != "" && in.Op != op) {
				continue
			}
			if in.Skip > 0 {
				in.Skip--
				continue
			}
			in.Times--
			if in.Times == 0 {
				w.injections = append(w.injections[:i:i], w.injections[i+1:]...)
			}
			found = in
			return nil
		}
		return nil
	})
	return found
}

// fail is the error of an injected failure.
func fail(in *fabricapi.Injection, op string) error {
	if in.Code == "" {
		return fmt.Errorf("%s: cut off by a test: %w", op, fabricapi.ErrUnreachable)
	}
	return fabricapi.Refuse(in.Code, "", "%s: refused by a test", op)
}

// guard runs a call of a host with what levers do to it: the host is frozen, or
// the call is made to fail before or after its effect.
func (h *Host) guard(ctx context.Context, op string, call func() (any, error)) (any, error) {
	if err := h.thaw(ctx); err != nil {
		return nil, err
	}
	in := h.w.injected(h.Name, op)
	if in != nil && !in.AfterEffect {
		return nil, fail(in, op)
	}
	out, err := call()
	if in != nil {
		return nil, fail(in, op)
	}
	if frozen := h.thaw(ctx); frozen != nil {
		return nil, frozen
	}
	return out, err
}

// thaw returns once the host is not frozen.
func (h *Host) thaw(ctx context.Context) error {
	for {
		var frozen chan struct{}
		if err := h.w.locked(func() error {
			frozen = h.frozen
			return nil
		}); err != nil || frozen == nil {
			return err
		}
		select {
		case <-frozen:
		case <-ctx.Done():
			return ctx.Err()
		case <-h.w.done:
			return errClosed
		}
	}
}
