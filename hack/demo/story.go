package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/terminal"
)

// What the story is about, in config/samples.
const (
	samples    = "config/samples"
	shopSample = samples + "/shop.yaml"
	labSample  = samples + "/lab.yaml"

	poolName    = "shop-linux"
	nextVersion = "v1.36.4"
)

var (
	shop = client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "shop"}
	lab  = client.ObjectKey{Namespace: "lab", Name: "lab"}
)

// story is what all chapters share.
type story struct {
	env     *demoenv.Env
	api     client.Client
	screen  *terminal.Screen
	watcher *watcher
	timeout time.Duration
	auditor *demoenv.Auditor
	// ready is how long the first cluster took to become Ready.
	ready time.Duration
	// vip is the virtual address of the Service in the first cluster.
	vip netip.Addr
}

// chapter is a part of the story, with a title that a person could type where
// that is how it begins.
type chapter struct {
	title string
	tell  func(context.Context, *story) error
}

// tell tells the story to its happy end, or until something fails.
func (s *story) tell(ctx context.Context, once bool) error {
	if err := s.read(ctx, begin(s.env.Hosts), create(), s.serve()); err != nil {
		return err
	}
	if !once {
		return s.stay(ctx)
	}
	if err := s.read(ctx, createSecond(), scale(6), scale(1), upgrade(), loseHost(), s.withdraw(), remove()); err != nil {
		return err
	}
	s.result()
	return nil
}

func (s *story) read(ctx context.Context, chapters ...chapter) error {
	for _, c := range chapters {
		s.screen.Begin(c.title)
		if err := c.tell(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) result() {
	s.screen.Plain("RESULT demo=ok ready_seconds=%.1f", s.ready.Seconds())
}

// begin brings up all that is there before a user comes.
func begin(hosts int) chapter {
	return chapter{fmt.Sprintf("A management cluster and %d simulated Hyper-V hosts", hosts), func(ctx context.Context, s *story) error {
		if err := s.within(ctx, s.env.Start); err != nil {
			return err
		}
		s.screen.Step("all hosts are Ready")
		var err error
		if s.api, err = s.env.Client(); err != nil {
			return err
		}
		if s.auditor, err = s.env.NewAuditor(ctx); err != nil {
			return err
		}
		s.watcher, err = newWatcher(ctx, s.env)
		return err
	}}
}

// stay leaves it all to the person at the terminal.
func (s *story) stay(ctx context.Context) error {
	s.screen.Plain(`
It stays up until Ctrl-C. In another terminal:

  export KUBECONFIG=%s PATH=%s/bin:$PATH
  kubectl get capstan -A
  kubectl --kubeconfig %s get nodes

  kubectl scale nodepool %s --replicas=6
  kubectl apply -f %s
  %s

A Service of your own; for its pods, something answers on its node ports that tells which node it is:

  export KUBECONFIG=%[3]s
  curl %[7]s
  kubectl create service loadbalancer mine --tcp=8080
  kubectl get service mine --output=jsonpath='{.status.loadBalancer.ingress[0].ip}'
  curl http://that-address:8080
  kubectl delete service mine %[8]s
`, s.env.Kubeconfig(), s.env.Dir, s.kubeconfig(shop), poolName, labSample, patchVersion, urlOf(s.vip), serviceName)
	s.result()
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	s.screen.Plain("\nGone with all its processes. What is left is in %s.", s.env.Dir)
	return nil
}

// settle follows what happens until everything is as it was asked for. If that
// takes too long, it tells what is not, and why.
func (s *story) settle(ctx context.Context) error {
	wanted, err := readSpecs(ctx, s.api)
	if err != nil {
		return err
	}
	return s.follow(ctx, func(p picture) bool { return p.lack(wanted) == "" })
}

// follow prints what happens until done says so.
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
	return terminal.Within(ctx, s.timeout, do)
}
