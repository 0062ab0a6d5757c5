// Command scale brings many workload clusters up at once on simulated Hyper-V
// hosts, measures how long that takes and what it costs whom, and deletes them.
//
// A cluster counts as up when it and its pool are Ready and its own API server,
// asked through the load balancer, shows all its nodes Ready.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/terminal"
)

type settings struct {
	demoenv.Options
	clusters   int
	namespaces int
	keep       bool
	requests   bool
	audit      bool
	profiles   string
	timeout    time.Duration
}

func main() {
	s := parse()
	terminal.Main("scale", func(ctx context.Context) error { return run(ctx, s) })
}

func parse() *settings {
	s := &settings{}
	s.Args = map[string][]string{}
	terminal.AddFlags(flag.CommandLine, &s.Options, ".bench")
	terminal.AddBootTime(flag.CommandLine, &s.Options)
	flag.IntVar(&s.clusters, "clusters", 10, "how many workload clusters, each of a control plane, a worker and a load balancer VM")
	flag.IntVar(&s.namespaces, "namespaces", 10, "how many namespaces they are spread over")
	flag.IntVar(&s.Hosts, "hosts", 0, "how many Hyper-V hosts are simulated (default one for every 50 clusters, and 3 at least)")
	flag.BoolVar(&s.Fsync, "fsync", false, "let etcd wait for the disk at each write, as in production")
	flag.BoolVar(&s.keep, "keep", false, "stay up after the figures until interrupted, and delete nothing")
	flag.BoolVar(&s.requests, "requests", false, "print what was asked of the management API server")
	flag.BoolVar(&s.audit, "audit", false, "write every request to the management API server to logs/audit.log; this costs time")
	flag.StringVar(&s.profiles, "profiles", "", "`folder` for CPU profiles of manager, API server and fabric; this costs time")
	flag.DurationVar(&s.timeout, "timeout", 30*time.Minute, "how long each part may take")
	flag.Func("manager-flag", "a `flag` for the manager, as --name=value; may be given several times", func(value string) error {
		s.give("manager", value)
		return nil
	})
	flag.Parse()
	if flag.NArg() > 0 || s.Assets == "" || s.clusters < 1 || s.namespaces < 1 {
		fmt.Fprintln(os.Stderr, "scale: takes no arguments, needs --assets, and at least one cluster and namespace; see --help, or use make bench-scale")
		os.Exit(2)
	}
	s.namespaces = min(s.namespaces, s.clusters)
	if s.Hosts == 0 {
		s.Hosts = max(3, s.clusters/50)
	}
	return s
}

func run(ctx context.Context, s *settings) error {
	if err := raiseFileLimit(); err != nil {
		return err
	}
	release, err := claimNetworks(ctx, s.clusters)
	if err != nil {
		return err
	}
	defer release()
	b := &bench{settings: s, screen: terminal.NewScreen(os.Stdout)}
	s.Report = b.screen.Step
	if err := b.prepare(ctx); err != nil {
		return err
	}
	return terminal.Tell(ctx, s.Options, func(ctx context.Context, env *demoenv.Env) error {
		b.env = env
		return b.measure(ctx)
	})
}

// raiseFileLimit lets the processes that are started have as many open files as
// the system allows: each node's API server and each watch of it is one.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raising the limit of open files: %w", err)
	}
	return nil
}
