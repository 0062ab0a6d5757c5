package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/client-go/rest"
)

// profiler takes CPU profiles of processes, one after the other without a gap:
// `go tool pprof` adds up the files that it is given.
type profiler struct {
	dir     string
	sources map[string]string
	clients map[string]*http.Client
	running sync.WaitGroup
	stop    context.CancelFunc
}

const profileSeconds = 5

// freeAddress returns an address of loopback that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

func newProfiler(dir, manager, fabric string, api *rest.Config) (*profiler, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of profiles: %w", err)
	}
	admin, err := rest.HTTPClientFor(api)
	if err != nil {
		return nil, fmt.Errorf("reaching the management API server: %w", err)
	}
	return &profiler{
		dir:     dir,
		sources: map[string]string{"manager": "http://" + manager, "fabric": "http://" + fabric, "kube-apiserver": api.Host},
		clients: map[string]*http.Client{"manager": http.DefaultClient, "fabric": http.DefaultClient, "kube-apiserver": admin},
	}, nil
}

func (p *profiler) start(ctx context.Context, report func(string)) {
	ctx, p.stop = context.WithCancel(ctx)
	for name := range p.sources {
		p.running.Go(func() {
			for i := 1; ctx.Err() == nil; i++ {
				file := filepath.Join(p.dir, fmt.Sprintf("%s-%03d.pb.gz", name, i))
				query := fmt.Sprintf("/debug/pprof/profile?seconds=%d", profileSeconds)
				if err := p.fetch(ctx, name, query, file); err != nil && ctx.Err() == nil {
					report(fmt.Sprintf("profile of %s: %v", name, err))
					return
				}
			}
		})
	}
}

// finish ends all profiles, and takes one of each heap.
func (p *profiler) finish(ctx context.Context) error {
	p.stop()
	p.running.Wait()
	for name := range p.sources {
		if err := p.fetch(ctx, name, "/debug/pprof/heap", filepath.Join(p.dir, name+"-heap.pb.gz")); err != nil {
			return fmt.Errorf("profile of the heap of %s: %w", name, err)
		}
	}
	return nil
}

func (p *profiler) fetch(ctx context.Context, name, query, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.sources[name]+query, http.NoBody)
	if err != nil {
		return err
	}
	response, err := p.clients[name].Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", response.Status)
	}
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}
