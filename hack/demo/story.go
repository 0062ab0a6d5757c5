package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// The objects of config/samples that the story is about.
const (
	namespace   = metav1.NamespaceDefault
	clusterName = "shop"
	poolName    = "shop-linux"

	samples     = "config/samples"
	shopSample  = samples + "/shop.yaml"
	cleanWithin = 30 * time.Second
)

type story struct {
	env     *demoenv.Env
	screen  *screen
	watcher *watcher
	timeout time.Duration
}

// tell tells the story to its happy end, or until something fails.
func (s *story) tell(ctx context.Context, once bool) error {
	s.screen.chapter(fmt.Sprintf("A management cluster and %d simulated Hyper-V hosts", s.env.Hosts))
	if err := s.within(ctx, s.env.Start); err != nil {
		return err
	}
	s.screen.step("all hosts are Ready")
	auditor, err := s.env.NewAuditor(ctx)
	if err != nil {
		return err
	}
	if s.watcher, err = newWatcher(ctx, s.env); err != nil {
		return err
	}
	seconds, err := s.create(ctx)
	if err != nil {
		return err
	}
	if !once {
		s.screen.plain("\nIt stays up until Ctrl-C. In another terminal:\n")
		s.screen.plain("  export KUBECONFIG=%s PATH=%s/bin:$PATH", s.env.Kubeconfig(), s.env.Dir)
		s.screen.plain("  kubectl get capstan")
		s.screen.plain("  kubectl --kubeconfig %s get nodes\n", s.workloadKubeconfig())
		s.result(seconds)
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			return cause
		}
		s.screen.plain("\nGone with all its processes. What is left is in %s.", s.env.Dir)
		return nil
	}
	for _, replicas := range []int{3, 1} {
		if err := s.scale(ctx, replicas); err != nil {
			return err
		}
	}
	if err := s.remove(ctx, auditor); err != nil {
		return err
	}
	s.result(seconds)
	return nil
}

func (s *story) result(seconds time.Duration) {
	s.screen.plain("RESULT demo=ok ready_seconds=%.1f", seconds.Seconds())
}

// create applies the samples and follows them until all is Ready.
func (s *story) create(ctx context.Context) (time.Duration, error) {
	s.screen.chapter("kubectl apply -k " + samples)
	if _, err := s.env.RunKubectl(ctx, "apply", "-k", samples); err != nil {
		return 0, err
	}
	if err := s.follow(ctx, func(p picture) bool { return p.ready(1) }); err != nil {
		return 0, err
	}
	seconds := s.screen.elapsed()
	s.screen.step("all Ready")
	if err := s.showTables(ctx); err != nil {
		return 0, err
	}
	if err := s.writeWorkloadKubeconfig(ctx); err != nil {
		return 0, err
	}
	return seconds, s.showNodes(ctx, 2)
}

func (s *story) scale(ctx context.Context, replicas int) error {
	s.screen.chapter(fmt.Sprintf("kubectl scale nodepool %s --replicas=%d", poolName, replicas))
	if _, err := s.env.RunKubectl(ctx, "scale", "nodepool", poolName, fmt.Sprintf("--replicas=%d", replicas)); err != nil {
		return err
	}
	if err := s.follow(ctx, func(p picture) bool { return p.ready(int32(replicas)) }); err != nil {
		return err
	}
	s.screen.step(fmt.Sprintf("all Ready with %d workers", replicas))
	return s.showNodes(ctx, replicas+1)
}

func (s *story) remove(ctx context.Context, auditor *demoenv.Auditor) error {
	s.screen.chapter("kubectl delete -f " + shopSample)
	if _, err := s.env.RunKubectl(ctx, "delete", "--wait=false", "-f", shopSample); err != nil {
		return err
	}
	if err := s.follow(ctx, func(p picture) bool { return p.empty() && len(p.machines) == 0 }); err != nil {
		return err
	}
	if _, err := s.env.RunKubectl(ctx, "delete", "--ignore-not-found", "-k", samples); err != nil {
		return err
	}
	s.screen.step("auditing the hosts and the management cluster")
	if err := auditor.WaitClean(ctx, cleanWithin); err != nil {
		return err
	}
	s.screen.step("nothing is left: no VM, disk, seed, claim, address, Secret or finalizer\n")
	return nil
}

// follow prints what happens until done says so; if that takes too long, it tells
// what is not Ready and why.
func (s *story) follow(ctx context.Context, done func(picture) bool) error {
	return s.within(ctx, func(limited context.Context) error {
		err := s.watcher.until(limited, s.screen, done)
		if err != nil && ctx.Err() == nil {
			s.showWhatIsMissing(ctx)
		}
		return err
	})
}

// within gives a part of the story its time.
func (s *story) within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("this took longer than %s", s.timeout))
	defer cancel()
	return do(ctx)
}
