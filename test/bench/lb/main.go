// Command lb measures two load-balancer VMs as they ship, in network namespaces: for
// how long a VIP is not answered when the VM that holds it fails, what planned
// changes cost clients under load, and what many Services cost a VM. Before that it
// measures how long it takes from a Service of a workload cluster to the first answer on
// its VIP, with the whole system at work on simulated hosts.
//
// A takeover is the longest time without an answered request, seen by a client that
// asks every 5 ms.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/capstan-k8s/capstan/internal/netlab"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
	"github.com/capstan-k8s/capstan/internal/testenv/terminal"
)

type settings struct {
	demoenv.Options
	only            string
	runs            int
	rate            int
	streams         int
	serverChanges   int
	frontendChanges int
	services        int
	loneServices    int
	timeout         time.Duration
}

func main() {
	s := parse()
	// The libraries' own logging would be in the way.
	ctrllog.SetLogger(logr.Discard())
	err := netlab.Enter()
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		err = run(ctx, s)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "\nlb:", err)
		os.Exit(1)
	}
}

func parse() settings {
	var s settings
	s.Hosts, s.Args = 3, map[string][]string{"fabric": {"--haproxy=auto"}}
	terminal.AddFlags(flag.CommandLine, &s.Options, ".bench")
	terminal.AddBootTime(flag.CommandLine, &s.Options)
	flag.StringVar(&s.only, "only", "", "measure one `part`, 'publishing' or 'laboratory', and print no RESULT")
	flag.Func("manager-flag", "a `flag` for the manager, as --name=value; may be given several times", func(value string) error {
		s.Args["manager"] = append(s.Args["manager"], value)
		return nil
	})
	flag.IntVar(&s.runs, "runs", 5, "how often each fault strikes")
	flag.IntVar(&s.rate, "rate", 5000, "new connections in a second during changes")
	flag.IntVar(&s.streams, "streams", 20, "long streams during changes")
	flag.IntVar(&s.serverChanges, "server-changes", 100, "how often servers change")
	flag.IntVar(&s.frontendChanges, "frontend-changes", 20, "how often frontends change")
	flag.IntVar(&s.services, "services", 200, "Services on one load balancer, at most 254")
	flag.IntVar(&s.loneServices, "lone-services", 20, "Services of a workload cluster, one after the other")
	flag.DurationVar(&s.timeout, "timeout", 15*time.Minute, "how long all of it may take")
	flag.Parse()
	if flag.NArg() > 0 || s.runs < 1 || s.services < 1 || s.services > 254 || s.loneServices < 1 || s.Assets == "" {
		flag.Usage()
		os.Exit(2)
	}
	return s
}

func run(ctx context.Context, s settings) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	b := &bench{settings: s, began: time.Now()}
	if s.only != laboratory {
		if err := b.runSystem(ctx); err != nil {
			return err
		}
	}
	if s.only != publishes {
		if err := b.runLaboratory(ctx); err != nil {
			return err
		}
	}
	return b.print()
}

// Parts that can be measured alone.
const (
	publishes  = "publishing"
	laboratory = "laboratory"
)

// runSystem measures in a system that has gone when it returns.
func (b *bench) runSystem(ctx context.Context) error {
	b.step("a management API server, the manager, simulated hosts, a workload cluster with two load-balancer VMs")
	return terminal.Tell(ctx, b.Options, func(ctx context.Context, env *demoenv.Env) error {
		s, err := bringUp(ctx, env)
		if err != nil {
			return err
		}
		published, err := b.publish(ctx, s)
		b.published = &published
		return err
	})
}

// runLaboratory measures in a laboratory that has gone when it returns.
func (b *bench) runLaboratory(ctx context.Context) (err error) {
	b.step("two load-balancer VMs, a client and servers, each in a network namespace of its own")
	agent := filepath.Join(b.Binaries, "capstan-lb")
	b.lab, err = lblab.Start(ctx, lblab.Programs{CapstanLB: agent, Probe: agent, Traffic: filepath.Join(b.Binaries, "lab-traffic")}, 2)
	defer func() {
		if err != nil {
			b.logs()
		}
		if closed := b.lab.Close(); err == nil {
			err = closed
		}
	}()
	if err != nil {
		return err
	}
	return b.measure(ctx)
}
