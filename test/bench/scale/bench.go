package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/terminal"
)

// bench is one measurement.
type bench struct {
	*settings
	screen *terminal.Screen
	env    *demoenv.Env
	// managerProfiles and fabricProfiles are where these two serve profiles.
	managerProfiles, fabricProfiles string
}

// prepare writes what the processes are told.
func (b *bench) prepare(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(b.Dir, "config"), 0o700); err != nil {
		return fmt.Errorf("making the folder of the measurement: %w", err)
	}
	text, err := yaml.Marshal(topology(b.Hosts, b.clusters))
	if err != nil {
		return fmt.Errorf("writing the topology: %w", err)
	}
	file, err := b.writeConfig("topology.yaml", text)
	if err != nil {
		return err
	}
	b.give("fabric", "--topology="+file)
	if b.audit {
		if file, err = b.writeConfig("audit.yaml", []byte(auditPolicy)); err != nil {
			return err
		}
		b.give("kube-apiserver", "--audit-policy-file="+file, "--audit-log-path=logs/audit.log", "--audit-log-mode=batch")
	}
	if b.profiles == "" {
		return nil
	}
	if b.managerProfiles, err = freeAddress(ctx); err != nil {
		return err
	}
	if b.fabricProfiles, err = freeAddress(ctx); err != nil {
		return err
	}
	b.give("manager", "--pprof-bind-address="+b.managerProfiles)
	b.give("fabric", "--pprof-bind-address="+b.fabricProfiles)
	return nil
}

func (s *settings) give(process string, args ...string) {
	s.Args[process] = append(s.Args[process], args...)
}

// auditPolicy has one line for each request, with what was sent if it is no
// Secret.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: None, verbs: [watch]}
  - {level: Metadata, resources: [{group: "", resources: [secrets]}]}
  - {level: Request}
`

func (b *bench) writeConfig(name string, text []byte) (string, error) {
	file, err := filepath.Abs(filepath.Join(b.Dir, "config", name))
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	return file, nil
}

// measure brings all up, prints what it took, and takes all down again.
func (b *bench) measure(ctx context.Context) error {
	b.screen.Begin(fmt.Sprintf("A management cluster and %d simulated Hyper-V hosts; etcd waits for the disk: %t", b.Hosts, b.Fsync))
	if err := b.within(ctx, b.env.Start); err != nil {
		return err
	}
	api, err := b.env.Client()
	if err != nil {
		return err
	}
	provided, err := site(b.clusters, b.namespaces)
	if err != nil {
		return err
	}
	for _, object := range provided {
		if err := api.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
		}
	}
	auditor, err := b.env.NewAuditor(ctx)
	if err != nil {
		return err
	}
	f, err := follow(ctx, b.env)
	if err != nil {
		return err
	}
	result, err := b.create(ctx, api, f)
	if err != nil {
		return err
	}
	if err := b.finish(ctx, api, f, auditor); err != nil {
		return err
	}
	b.screen.Plain("%s", result)
	return nil
}

func (b *bench) finish(ctx context.Context, api client.Client, f *follower, auditor *demoenv.Auditor) error {
	if !b.keep {
		return b.remove(ctx, api, f, auditor)
	}
	b.screen.Plain("\nIt stays up until Ctrl-C. In another terminal: export KUBECONFIG=%s\n", b.env.Kubeconfig())
	<-ctx.Done()
	return context.Cause(ctx)
}

// create applies all manifests, waits until every cluster is up, and tells what
// it took.
func (b *bench) create(ctx context.Context, api client.Client, f *follower) (result string, err error) {
	before, err := b.take(ctx)
	if err != nil {
		return "", err
	}
	var profiles *profiler
	if b.profiles != "" {
		if profiles, err = newProfiler(b.profiles, b.managerProfiles, b.fabricProfiles, b.env.Config); err != nil {
			return "", err
		}
		profiles.start(ctx, b.screen.Step)
	}
	b.screen.Begin(fmt.Sprintf("%d clusters, each of a control plane, a worker and a load balancer VM that boot in %s", b.clusters, b.BootTime))
	a := newArrivals()
	err = b.within(ctx, func(ctx context.Context) error {
		applied := make(chan error, 1)
		go func() { applied <- b.apply(ctx, api) }()
		if err := b.waitUp(ctx, api, f, a, applied); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	after, err := b.take(ctx)
	if err != nil {
		return "", err
	}
	if profiles != nil {
		if err := profiles.finish(ctx); err != nil {
			return "", err
		}
	}
	return b.report(a, before, after), nil
}

// appliers is how many manifests are applied at a time.
const appliers = 8

func (b *bench) apply(ctx context.Context, api client.Client) error {
	objects := make(chan client.Object)
	failures := make(chan error, appliers)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var working sync.WaitGroup
	for range appliers {
		working.Go(func() {
			for object := range objects {
				if err := api.Create(ctx, object); err != nil {
					failures <- fmt.Errorf("creating %T %s/%s: %w", object, object.GetNamespace(), object.GetName(), err)
					cancel()
					return
				}
			}
		})
	}
	for _, object := range fleet(b.clusters, b.namespaces) {
		select {
		case objects <- object:
		case <-ctx.Done():
		}
	}
	close(objects)
	working.Wait()
	select {
	case err := <-failures:
		return err
	default:
	}
	b.screen.Step(fmt.Sprintf("all %d manifests are applied", 2*b.clusters))
	return nil
}

// progressInterval is how often it is told how far things are.
const progressInterval = 5 * time.Second

// waitUp waits until every cluster is Ready and shows all its nodes.
func (b *bench) waitUp(ctx context.Context, api client.Reader, f *follower, a *arrivals, applied <-chan error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var asking sync.WaitGroup
	defer asking.Wait()
	asked := map[client.ObjectKey]bool{}
	places := make(chan struct{}, appliers)
	told := time.Duration(0)
	return f.until(ctx, func(now view) (bool, error) {
		select {
		case err := <-applied:
			if err != nil {
				return false, err
			}
		default:
		}
		for _, cluster := range now.ready() {
			key := client.ObjectKeyFromObject(cluster)
			if asked[key] {
				continue
			}
			asked[key] = true
			asking.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				if err := b.ask(ctx, api, cluster); err != nil {
					cancel(err)
					return
				}
				a.add(key)
			})
		}
		if elapsed := b.screen.Elapsed(); elapsed-told >= progressInterval {
			told = elapsed
			b.screen.Step(fmt.Sprintf("%d of %d are up; the others: %s", a.count(), b.clusters, describe(now.waiting())))
		}
		return a.count() == b.clusters, nil
	})
}

// ask makes sure that a cluster that is said to be Ready is.
func (b *bench) ask(ctx context.Context, api client.Reader, cluster *capstanv1.WorkloadCluster) error {
	nodes, err := readyNodes(ctx, api, cluster)
	if err != nil {
		return fmt.Errorf("WorkloadCluster %s/%s is Ready, but its API server does not answer through the load balancer: %w", cluster.Namespace, cluster.Name, err)
	}
	if nodes != nodesPerCluster {
		return fmt.Errorf("WorkloadCluster %s/%s is Ready, but shows %d Ready nodes: %d are wanted", cluster.Namespace, cluster.Name, nodes, nodesPerCluster)
	}
	return nil
}

// remove deletes all clusters and makes sure that nothing is left of them.
func (b *bench) remove(ctx context.Context, api client.Client, f *follower, auditor *demoenv.Auditor) error {
	b.screen.Begin("Deleting them all")
	return b.within(ctx, func(ctx context.Context) error {
		for i := range b.namespaces {
			for _, kind := range []client.Object{&capstanv1.WorkloadCluster{}, &capstanv1.NodePool{}} {
				if err := api.DeleteAllOf(ctx, kind, client.InNamespace(namespaceName(i))); err != nil {
					return fmt.Errorf("deleting the clusters: %w", err)
				}
			}
		}
		told := time.Duration(0)
		err := f.until(ctx, func(now view) (bool, error) {
			if elapsed := b.screen.Elapsed(); elapsed-told >= progressInterval {
				told = elapsed
				b.screen.Step(fmt.Sprintf("%d clusters are left: %s", len(now.clusters), describe(now.waiting())))
			}
			return len(now.clusters)+len(now.pools) == 0, nil
		})
		if err != nil {
			return err
		}
		b.screen.Step("all are gone")
		if err := auditor.WaitClean(ctx, b.timeout); err != nil {
			return err
		}
		b.screen.Step("nothing is left: no VM, disk, seed, claim, address, Secret or finalizer\n")
		return nil
	})
}

// within gives a part its time.
func (b *bench) within(ctx context.Context, do func(context.Context) error) error {
	return terminal.Within(ctx, b.timeout, do)
}

// describe lists counts, the highest first.
func describe(counts map[string]int) string {
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return counts[b] - counts[a] })
	text := ""
	for _, name := range names {
		text += fmt.Sprintf("%d %s, ", counts[name], name)
	}
	return text
}
