// Command demo brings the whole product up on one machine, with simulated Hyper-V
// hosts, with hosts that have a fake Hyper-V, or with hosts of machine containers, and tells the
// story of workload clusters from their manifests to their deletion.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
	"github.com/capstan-k8s/capstan/internal/testenv/terminal"
)

type settings struct {
	demoenv.Options
	once    bool
	timeout time.Duration
}

func main() {
	var s settings
	terminal.AddFlags(flag.CommandLine, &s.Options, ".demo")
	terminal.AddBootTime(flag.CommandLine, &s.Options)
	flag.IntVar(&s.Hosts, "hosts", 3, "how many hosts there are")
	flag.DurationVar(&s.FailoverDelay, "failover-delay", 5*time.Second, "how long a simulated failover cluster waits before it restarts the VMs of a lost host elsewhere")
	flag.BoolVar(&s.once, "once", false, "go on to scaling and deletion, with simulated hosts to a second cluster, a version roll and a host that is lost, too, check that nothing is left, and end")
	flag.DurationVar(&s.timeout, "timeout", 0, "how long each part of the story may take (default 3m, with a fake Hyper-V 5m, with real guests 10m)")
	driver := flag.String("driver", "simulated", "what stands in for Hyper-V: simulated; hypervfake for the driver that ships on a fake of WMI; or machinectr for real guests in machine containers (needs root and make image)")
	haproxy := flag.String("haproxy", "auto", "with simulated hosts, program of the HAProxy in load balancers, 'auto' for one that is installed; empty for a balancer in Go")
	keepalived := flag.String("keepalived", "auto", "with simulated hosts, 'on' has load balancers be machines of their own with a real keepalived, 'auto' does so where it is possible; 'off' has the simulated hosts decide who holds a VIP")
	flag.Parse()
	s.Args = map[string][]string{"fabric": {"--haproxy=" + *haproxy, "--keepalived=" + *keepalived}}
	if flag.NArg() > 0 || s.Assets == "" {
		fmt.Fprintln(os.Stderr, "demo: takes no arguments, and needs --assets; see --help, or use make demo")
		os.Exit(2)
	}
	switch *driver {
	case "simulated":
		s.timeout = cmp.Or(s.timeout, 3*time.Minute)
	case "hypervfake":
		s.FakeHyperV, s.timeout = true, cmp.Or(s.timeout, 5*time.Minute)
	case "machinectr":
		s.RealGuests, s.timeout = true, cmp.Or(s.timeout, 10*time.Minute)
	default:
		fmt.Fprintf(os.Stderr, "demo: there is no driver %q: it is simulated, hypervfake or machinectr\n", *driver)
		os.Exit(2)
	}
	terminal.Main("demo", func(ctx context.Context) error { return run(ctx, s) })
}

func run(ctx context.Context, s settings) (err error) {
	if !s.RealGuests {
		var release func() error
		if release, err = claimNetwork(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, release()) }()
	}
	screen := terminal.NewScreen(os.Stdout)
	s.Report, s.Restart = screen.Step, true
	return terminal.Tell(ctx, s.Options, func(ctx context.Context, env *demoenv.Env) error {
		told := &story{Narrator: &narrator.Narrator{Env: env, Screen: screen, Timeout: s.timeout}, manifests: samples}
		if s.RealGuests {
			told.manifests = env.Manifests()
		}
		err := told.tell(ctx, s.once)
		if err != nil && ctx.Err() == nil {
			screen.LogErrors(filepath.Join(env.Dir, "logs"))
		}
		return err
	})
}
