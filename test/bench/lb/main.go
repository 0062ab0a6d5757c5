// Command lb measures two load-balancer VMs as they ship, in network namespaces: for
// how long a VIP is not answered when the VM that holds it fails, what planned
// changes cost clients under load, and what many Services cost a VM.
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

	"github.com/capstan-k8s/capstan/internal/netlab"
	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
)

type settings struct {
	binaries        string
	runs            int
	rate            int
	streams         int
	serverChanges   int
	frontendChanges int
	services        int
	timeout         time.Duration
}

func main() {
	s := parse()
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
	flag.StringVar(&s.binaries, "bin", "bin", "`folder` of the programs of make build")
	flag.IntVar(&s.runs, "runs", 5, "how often each fault strikes")
	flag.IntVar(&s.rate, "rate", 5000, "new connections in a second during changes")
	flag.IntVar(&s.streams, "streams", 20, "long streams during changes")
	flag.IntVar(&s.serverChanges, "server-changes", 100, "how often servers change")
	flag.IntVar(&s.frontendChanges, "frontend-changes", 20, "how often frontends change")
	flag.IntVar(&s.services, "services", 200, "Services on one load balancer, at most 254")
	flag.DurationVar(&s.timeout, "timeout", 15*time.Minute, "how long all of it may take")
	flag.Parse()
	if flag.NArg() > 0 || s.runs < 1 || s.services < 1 || s.services > 254 {
		flag.Usage()
		os.Exit(2)
	}
	return s
}

func run(ctx context.Context, s settings) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	b := &bench{settings: s, began: time.Now()}
	b.step("two load-balancer VMs, a client and servers, each in a network namespace of its own")
	agent := filepath.Join(s.binaries, "capstan-lb")
	b.lab, err = lblab.Start(ctx, lblab.Programs{CapstanLB: agent, Probe: agent, Traffic: filepath.Join(s.binaries, "lab-traffic")}, 2)
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
