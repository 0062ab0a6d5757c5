package lbagent

import (
	"context"
	"reflect"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Status returns how the VM is.
func (a *Agent) Status() lbapi.Status {
	status, _, _ := a.observe()
	return status
}

// Watch calls send with the status now and whenever it has changed, until ctx
// ends or send fails.
func (a *Agent) Watch(ctx context.Context, send func(lbapi.Status) error) error {
	var sent *lbapi.Status
	for {
		status, agent, applier := a.observe()
		if sent == nil || !reflect.DeepEqual(*sent, status) {
			if err := send(status); err != nil {
				return err
			}
			sent = &status
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-agent:
		case <-applier:
		}
	}
}

// observe joins what the agent and its applier know. Each channel is taken together
// with what it announces, so no change is missed.
func (a *Agent) observe() (status lbapi.Status, agent, applier <-chan struct{}) {
	seen, applier := a.opts.Applier.Observe()
	a.mu.Lock()
	defer a.mu.Unlock()
	status = lbapi.Status{
		Name: a.opts.Name, VIPs: seen.VIPs, Peers: seen.Peers, Backends: seen.Backends, Messages: seen.Messages,
		Versions: map[string]string{"capstan-lb": a.opts.Version},
	}
	for name, version := range seen.Versions {
		status.Versions[name] = version
	}
	if a.inForce {
		status.Generation, status.Hash, status.Applied = a.last.Generation, a.hash, a.since
	}
	for _, err := range []error{a.failed, a.trouble} {
		if err != nil {
			status.Messages = append(status.Messages, err.Error())
		}
	}
	return status.WithFewBackends(), a.changed, applier
}
