package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// watcher follows the objects of the story.
type watcher struct {
	cache   cache.Cache
	changed chan struct{}
	// told is what was said last of each object.
	told map[string]string
}

func watched() []client.Object {
	return []client.Object{
		&capstanv1.WorkloadCluster{}, &capstanv1.NodePool{}, &capstanv1.LoadBalancer{}, &capstanv1.VirtualMachine{},
		&clusterv1.Machine{},
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
	w := &watcher{cache: objects, changed: make(chan struct{}, 1), told: map[string]string{}}
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
	return w, nil
}

func (w *watcher) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// until prints what changes until done says so.
func (w *watcher) until(ctx context.Context, s *screen, done func(picture) bool) error {
	for {
		p, err := w.look(ctx)
		if err != nil {
			return err
		}
		for _, line := range w.news(p) {
			s.step(line)
		}
		if done(p) {
			return nil
		}
		select {
		case <-w.changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// picture is the state of all that is watched.
type picture struct {
	clusters      []capstanv1.WorkloadCluster
	pools         []capstanv1.NodePool
	loadBalancers []capstanv1.LoadBalancer
	vms           []capstanv1.VirtualMachine
	machines      []clusterv1.Machine
}

func (w *watcher) look(ctx context.Context) (picture, error) {
	var (
		clusters      capstanv1.WorkloadClusterList
		pools         capstanv1.NodePoolList
		loadBalancers capstanv1.LoadBalancerList
		vms           capstanv1.VirtualMachineList
		machines      clusterv1.MachineList
	)
	for _, list := range []client.ObjectList{&clusters, &pools, &loadBalancers, &vms, &machines} {
		if err := w.cache.List(ctx, list); err != nil {
			return picture{}, fmt.Errorf("looking at %T: %w", list, err)
		}
	}
	return picture{clusters.Items, pools.Items, loadBalancers.Items, vms.Items, machines.Items}, nil
}

// ours returns Capstan's own objects, what users write first.
func (p picture) ours() []demoenv.Conditioned {
	var all []demoenv.Conditioned
	for i := range p.clusters {
		all = append(all, &p.clusters[i])
	}
	for i := range p.pools {
		all = append(all, &p.pools[i])
	}
	for i := range p.loadBalancers {
		all = append(all, &p.loadBalancers[i])
	}
	for i := range p.vms {
		all = append(all, &p.vms[i])
	}
	return all
}

func (p picture) empty() bool { return len(p.ours()) == 0 }

// news says what is different from what was said before, a line for each object.
func (w *watcher) news(p picture) []string {
	var lines []string
	present := map[string]bool{}
	for _, object := range p.ours() {
		name := describe(object)
		present[name] = true
		ready := demoenv.ReadyOf(object)
		state := state(object, ready)
		if state != demoenv.ReasonNotObserved && w.told[name] != state {
			w.told[name] = state
			lines = append(lines, line(name, state, ready))
		}
	}
	var gone []string
	for name := range w.told {
		if !present[name] {
			gone = append(gone, name)
			delete(w.told, name)
		}
	}
	slices.Sort(gone)
	for _, name := range gone {
		lines = append(lines, line(name, "gone", metav1.Condition{}))
	}
	return lines
}

func state(object client.Object, ready metav1.Condition) string {
	if object.GetDeletionTimestamp() != nil {
		return capstanv1.ReasonDeleting
	}
	if ready.Status == metav1.ConditionTrue {
		return capstanv1.ReasonReady
	}
	return ready.Reason
}

const longestMessage = 90

func line(name, state string, ready metav1.Condition) string {
	text := fmt.Sprintf("%-46s %s", name, state)
	if state != capstanv1.ReasonReady && state != capstanv1.ReasonDeleting && ready.Message != "" {
		// The time stands at the beginning of the line.
		spoken, _, _ := strings.Cut(ready.Message, ", since ")
		message := []rune(strings.Join(strings.Fields(spoken), " "))
		if len(message) > longestMessage {
			message = append(message[:longestMessage-1], '…')
		}
		text += ": " + string(message)
	}
	return text
}

func describe(object client.Object) string {
	kind := "VirtualMachine"
	switch object.(type) {
	case *capstanv1.WorkloadCluster:
		kind = "WorkloadCluster"
	case *capstanv1.NodePool:
		kind = "NodePool"
	case *capstanv1.LoadBalancer:
		kind = "LoadBalancer"
	}
	return kind + " " + object.GetName()
}
