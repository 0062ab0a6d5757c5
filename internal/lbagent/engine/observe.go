package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"

	"github.com/capstan-k8s/capstan/internal/lbagent"
	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Observe implements lbagent.Applier.
func (e *Engine) Observe() (lbagent.Observation, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	seen := e.seen
	seen.VIPs, seen.Peers, seen.Backends = slices.Clone(seen.VIPs), slices.Clone(seen.Peers), slices.Clone(seen.Backends)
	seen.Messages = slices.Clone(seen.Messages)
	seen.Versions = maps.Clone(seen.Versions)
	return seen, e.changed
}

// look finds out how things are. Plans change meanwhile: what was seen is told of
// the plan that is in force afterwards.
func (e *Engine) look(ctx context.Context, ask asking) {
	var now lbagent.Observation
	stats, err := ask(ctx)
	if ctx.Err() != nil {
		return
	}
	balancer := e.judge(stats, err)
	router := e.opts.Router.Alive()
	held, err := e.opts.Held()
	for what, err := range map[string]error{"HAProxy": balancer, "keepalived": router, "addresses": err} {
		if err != nil {
			now.Messages = append(now.Messages, fmt.Sprintf("%s: %s", what, err))
		}
	}
	slices.Sort(now.Messages)
	now.Versions = e.versions(ctx, balancer == nil)

	e.mu.Lock()
	defer e.mu.Unlock()
	now.VIPs = e.vips(held, balancer == nil && router == nil)
	now.Backends = e.backends(e.stats)
	if e.ears != nil {
		now.Peers = e.ears.Of(e.plan)
	}
	news := !reflect.DeepEqual(withoutSessions(now), withoutSessions(e.seen))
	e.seen = now
	if news {
		close(e.changed)
		e.changed = make(chan struct{})
	}
}

// judge returns what is wrong with HAProxy. What was known of it before stands while it
// takes its time, and for the first looks at which it does not answer.
func (e *Engine) judge(stats map[haproxy.ID]haproxy.ServerStat, err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		e.missed, e.stats, e.balancer = 0, stats, nil
		e.answers++
	case errors.Is(err, errSlow):
	default:
		e.missed++
		if e.missed >= mostMissed || len(e.seen.Versions) == 0 {
			e.stats, e.balancer = nil, err
		}
	}
	return e.balancer
}

// versions asks for what is not known yet. A daemon that has another version after
// an upgrade was away before it.
func (e *Engine) versions(ctx context.Context, balancer bool) map[string]string {
	e.mu.Lock()
	versions := maps.Clone(e.seen.Versions)
	e.mu.Unlock()
	if versions == nil {
		versions = map[string]string{}
	}
	if !balancer {
		delete(versions, "haproxy")
	} else if versions["haproxy"] == "" {
		if v, err := e.opts.Balancer.Version(ctx); err == nil {
			versions["haproxy"] = v
		}
	}
	if versions["keepalived"] == "" {
		if v, err := e.opts.Router.Version(ctx); err == nil {
			versions["keepalived"] = v
		}
	}
	return versions
}

// vips tells the role for each VIP. Whoever has the address answers on it, whatever
// else may be wrong.
func (e *Engine) vips(held map[netip.Addr]string, fit bool) []lbapi.VIPStatus {
	var out []lbapi.VIPStatus
	for _, v := range e.plan.VIPs {
		status := lbapi.VIPStatus{Address: v.Address, Role: lbapi.RoleFault, Since: e.opts.Clock.Now()}
		address, err := netip.ParseAddr(v.Address)
		if _, ok := held[address]; ok && err == nil {
			status.Role = lbapi.RoleActive
		} else if fit {
			status.Role = lbapi.RoleStandby
		}
		i := slices.IndexFunc(e.seen.VIPs, func(old lbapi.VIPStatus) bool { return old.Address == status.Address && old.Role == status.Role })
		if i >= 0 {
			status.Since = e.seen.VIPs[i].Since
		}
		out = append(out, status)
	}
	return out
}

func (e *Engine) backends(stats map[haproxy.ID]haproxy.ServerStat) []lbapi.BackendStatus {
	type key struct{ frontend, backend string }
	before := map[key]lbapi.BackendStatus{}
	for _, b := range e.seen.Backends {
		before[key{b.Frontend, b.Backend}] = b
	}
	var out []lbapi.BackendStatus
	for _, f := range e.plan.Frontends {
		for _, b := range f.Backends {
			status := lbapi.BackendStatus{Frontend: f.Name, Backend: b.Name, Draining: b.Drain, Health: lbapi.HealthUnknown, Since: e.opts.Clock.Now()}
			if s, ok := stats[haproxy.IDOf(f, b)]; ok {
				status.Health, status.Sessions, status.Message = s.Health, s.Sessions, s.Message
				status.Since = status.Since.Add(-s.For)
			}
			if old, ok := before[key{f.Name, b.Name}]; ok && old.Health == status.Health {
				status.Since = old.Since
			}
			out = append(out, status)
		}
	}
	return out
}

func withoutSessions(o lbagent.Observation) lbagent.Observation {
	o.Backends = slices.Clone(o.Backends)
	for i := range o.Backends {
		o.Backends[i].Sessions = 0
	}
	return o
}
