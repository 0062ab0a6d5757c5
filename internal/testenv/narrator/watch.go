package narrator

import (
	"context"
	"fmt"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/terminal"
)

// watcher follows the objects of the story.
type watcher struct {
	cache   cache.Cache
	changed chan struct{}
	news    *news
}

func watched() []client.Object {
	return []client.Object{
		&capstanv1.HyperVHost{}, &capstanv1.WorkloadCluster{}, &capstanv1.NodePool{}, &capstanv1.LoadBalancer{},
		&capstanv1.VirtualMachine{}, &clusterv1.Machine{},
	}
}

func newWatcher(ctx context.Context, env *demoenv.Env) (*watcher, error) {
	scheme, err := demoenv.NewScheme()
	if err != nil {
		return nil, err
	}
	objects, err := cache.New(env.Config, cache.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("watching the management cluster: %w", err)
	}
	w := &watcher{cache: objects, changed: make(chan struct{}, 1), news: newNews()}
	handler := toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { w.wake() }, UpdateFunc: func(any, any) { w.wake() }, DeleteFunc: func(any) { w.wake() },
	}
	for _, object := range watched() {
		informer, err := objects.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watching %T: %w", object, err)
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, fmt.Errorf("watching %T: %w", object, err)
		}
	}
	// It ends with the story; what it could say then, nobody would hear.
	go func() { _ = objects.Start(ctx) }()
	if !objects.WaitForCacheSync(ctx) {
		return nil, context.Cause(ctx)
	}
	// That hosts are Ready was said before.
	p, err := look(ctx, objects)
	if err != nil {
		return nil, err
	}
	w.news.of(p, time.Now())
	return w, nil
}

func (w *watcher) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// until prints what changes until done says so.
func (w *watcher) until(ctx context.Context, s *terminal.Screen, done func(Picture) bool) error {
	// What stands still for long is news, too.
	ticker := time.NewTicker(passing / 4)
	defer ticker.Stop()
	for {
		p, err := look(ctx, w.cache)
		if err != nil {
			return err
		}
		for _, line := range w.news.of(p, time.Now()) {
			s.Step(line)
		}
		if done(p) {
			return nil
		}
		select {
		case <-w.changed:
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
