package fabric

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// injection is one that was asked for, and what came of it.
type injection struct {
	fabricapi.Injection
	hits int
}

// Inject does something to calls to come.
func (a *Admin) Inject(_ context.Context, asked fabricapi.Injection) (fabricapi.None, error) {
	return a.change(func(*tx) error {
		if asked.ID != "" && slices.ContainsFunc(a.w.injections, func(in *injection) bool { return in.ID == asked.ID }) {
			return fabricapi.Refuse(fabricapi.Exists, asked.ID, "there is an injection %s already", asked.ID)
		}
		asked.Times = max(asked.Times, 1)
		a.w.injections = append(a.w.injections, &injection{Injection: asked})
		return nil
	})
}

// EndInjection ends an injection and tells how many calls it hit.
func (a *Admin) EndInjection(_ context.Context, req fabricapi.InjectionRef) (out fabricapi.EndInjectionResponse, err error) {
	_, err = a.change(func(*tx) error {
		i := slices.IndexFunc(a.w.injections, func(in *injection) bool { return in.ID == req.ID })
		if i < 0 || req.ID == "" {
			return fabricapi.Refuse(fabricapi.NotFound, req.ID, "there is no injection %q", req.ID)
		}
		out.Hits = a.w.injections[i].hits
		a.w.injections = slices.Delete(a.w.injections, i, i+1)
		return nil
	})
	return out, err
}

// ClearInjections ends all of them.
func (a *Admin) ClearInjections(context.Context, fabricapi.None) (fabricapi.None, error) {
	return a.change(func(*tx) error {
		a.w.injections = nil
		return nil
	})
}

// injected returns what shall befall a call, if anything.
func (w *World) injected(host, op string) (found *injection) {
	_ = w.locked(func() error {
		for i, in := range w.injections {
			if in.Times == 0 || (in.Host != "" && in.Host != host) || (in.Op != "" && in.Op != op) {
				continue
			}
			if in.Skip > 0 {
				in.Skip--
				continue
			}
			in.Times--
			if in.Times == 0 && in.ID == "" {
				w.injections = slices.Delete(w.injections, i, i+1)
			}
			found = in
			return nil
		}
		return nil
	})
	return found
}

func (w *World) hit(in *injection) {
	_ = w.locked(func() error {
		in.hits++
		return nil
	})
}

// fail is the error of an injected failure.
func fail(in *injection, op string) error {
	if in.Code == "" {
		return fmt.Errorf("%s: cut off by a test: %w", op, fabricapi.ErrUnreachable)
	}
	return fabricapi.Refuse(in.Code, "", "%s: refused by a test", op)
}

// guard runs a call of a host with what levers do to it: the host is frozen, or
// something befalls the call.
func (h *Host) guard(ctx context.Context, op string, body []byte, call func() (any, error)) (any, error) {
	if err := h.thaw(ctx); err != nil {
		return nil, err
	}
	in := h.w.injected(h.Name, op)
	if in == nil {
		out, err := call()
		if frozen := h.thaw(ctx); frozen != nil {
			return nil, frozen
		}
		return out, err
	}
	switch in.Effect {
	case fabricapi.HeldBack:
		h.w.hit(in)
		out, err := call()
		h.hold(ctx, in)
		return out, err
	case fabricapi.Repeated:
		h.w.hit(in)
		if _, err := call(); err != nil {
			return nil, err
		}
		return call()
	case fabricapi.VMMoved:
		return h.moveAround(ctx, in, body, call)
	case fabricapi.Fails:
	}
	h.w.hit(in)
	if in.AfterEffect {
		_, _ = call()
	}
	return nil, fail(in, op)
}

// hold returns when the answer to a call may be told.
func (h *Host) hold(ctx context.Context, in *injection) {
	timer := h.w.Clock.NewTimer(in.Delay)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
	case <-h.w.done:
	}
}

// moveAround has the VM of a call move, before the call or after it.
func (h *Host) moveAround(ctx context.Context, in *injection, body []byte, call func() (any, error)) (any, error) {
	var named fabricapi.VMRef
	if !in.AfterEffect && json.Unmarshal(body, &named) == nil && h.moveOn(ctx, named.GUID) {
		h.w.hit(in)
	}
	out, err := call()
	if vm, ok := out.(fabricapi.VM); ok && in.AfterEffect && err == nil && h.moveOn(ctx, vm.GUID) {
		h.w.hit(in)
	}
	return out, err
}

// moveOn moves a VM to the next node that takes it, and tells whether there is one.
func (h *Host) moveOn(ctx context.Context, guid string) bool {
	at := slices.Index(h.site.hosts, h.host)
	for i := 1; i < len(h.site.hosts); i++ {
		next := h.site.hosts[(at+i)%len(h.site.hosts)]
		var moves bool
		_ = h.w.locked(func() error {
			v := h.site.vms[guid]
			moves = v != nil && v.Host != next.Name && !next.isolated
			return nil
		})
		if !moves {
			continue
		}
		if _, err := h.w.Admin().MoveVM(ctx, fabricapi.MoveVMRequest{GUID: guid, Host: next.Name}); err == nil {
			return true
		}
	}
	return false
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
