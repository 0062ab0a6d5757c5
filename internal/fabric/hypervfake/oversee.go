package hypervfake

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

var _ fabric.Overseer = (*World)(nil)

func (w *World) isDown(host string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.down[host]
}

func (w *World) check(host string) error {
	for _, h := range w.Topology.Hosts {
		if h.Name == host {
			return nil
		}
	}
	return fabricapi.Refuse(fabricapi.NotFound, host, "there is no host %s", host)
}

// HostDown takes a host's power away. The failover cluster waits for it, and then restarts its VMs elsewhere.
func (w *World) HostDown(_ context.Context, req fabricapi.HostRef) (fabricapi.None, error) {
	if err := w.check(req.Host); err != nil {
		return fabricapi.None{}, err
	}
	w.mu.Lock()
	if w.down[req.Host] {
		w.mu.Unlock()
		return fabricapi.None{}, nil
	}
	w.down[req.Host] = true
	w.losses[req.Host]++
	loss := w.losses[req.Host]
	w.mu.Unlock()
	w.hyperv.LoseNode(req.Host)
	timer := w.Clock.NewTimer(w.FailoverDelay)
	w.waiting.Go(func() {
		defer timer.Stop()
		select {
		case <-timer.C():
			w.failOver(req.Host, loss)
		case <-w.done:
		}
	})
	return fabricapi.None{}, nil
}

// failOver is the end of the failover cluster's patience with a host.
func (w *World) failOver(host string, loss int) {
	w.mu.Lock()
	stillLost := w.down[host] && w.losses[host] == loss
	w.mu.Unlock()
	if stillLost {
		w.hyperv.FailOver(host)
	}
}

// HostUp boots a host. The failover cluster starts what it left there.
func (w *World) HostUp(_ context.Context, req fabricapi.HostRef) (fabricapi.None, error) {
	if err := w.check(req.Host); err != nil {
		return fabricapi.None{}, err
	}
	w.mu.Lock()
	was := w.down[req.Host]
	w.mu.Unlock()
	if !was {
		return fabricapi.None{}, nil
	}
	w.hyperv.RestoreNode(req.Host)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down[req.Host] = false
	return fabricapi.None{}, nil
}

// IsolateHost cuts a host off its failover cluster, or joins it again.
func (w *World) IsolateHost(_ context.Context, req fabricapi.SetHostRequest) (fabricapi.None, error) {
	if err := w.check(req.Host); err != nil {
		return fabricapi.None{}, err
	}
	w.hyperv.Isolate(req.Host, req.On)
	return fabricapi.None{}, nil
}
