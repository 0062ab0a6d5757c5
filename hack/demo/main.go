// Command demo brings the whole product up on one machine, with simulated
// Hyper-V hosts, and tells the story of workload clusters from their manifests to
// their deletion.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

type settings struct {
	demoenv.Options
	once    bool
	timeout time.Duration
}

func main() {
	// The libraries' own logging would be in the way of the story.
	ctrllog.SetLogger(logr.Discard())
	var s settings
	flag.StringVar(&s.Dir, "dir", ".demo", "`folder` for all that the demo writes; what an earlier demo left there goes")
	flag.StringVar(&s.Source, "source", ".", "top `folder` of the repository")
	flag.StringVar(&s.Binaries, "bin", "bin", "`folder` of the programs of make build")
	flag.StringVar(&s.Assets, "assets", os.Getenv("KUBEBUILDER_ASSETS"), "`folder` of etcd, kube-apiserver, kube-controller-manager and kubectl (default $KUBEBUILDER_ASSETS)")
	flag.IntVar(&s.Hosts, "hosts", 3, "how many Hyper-V hosts are simulated")
	flag.DurationVar(&s.BootTime, "boot-time", 2*time.Second, "how long a simulated VM takes to boot")
	flag.DurationVar(&s.FailoverDelay, "failover-delay", 5*time.Second, "how long the failover cluster waits before it restarts the VMs of a lost host elsewhere")
	flag.BoolVar(&s.once, "once", false, "go on to a second cluster, scaling, a version roll, a host that is lost and deletion, check that nothing is left, and end")
	flag.DurationVar(&s.timeout, "timeout", 3*time.Minute, "how long each part of the story may take")
	flag.Parse()
	if flag.NArg() > 0 || s.Assets == "" {
		fmt.Fprintln(os.Stderr, "demo: takes no arguments, and needs --assets; see --help, or use make demo")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) (err error) {
	release, err := claimNetwork(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	screen := newScreen(os.Stdout)
	s.Report, s.Restart = screen.step, true
	env, err := demoenv.New(s.Options)
	if err != nil {
		return err
	}
	// A process that ends by itself and is not started again ends the story.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-env.Failed():
			cancel(err)
		case <-ctx.Done():
		}
	}()
	defer env.Stop()
	told := &story{env: env, screen: screen, timeout: s.timeout}
	err = told.tell(ctx, s.once)
	if interrupted := ctx.Err() != nil; err != nil && interrupted {
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			return cause
		}
		return errors.New("interrupted")
	}
	if err != nil {
		screen.logErrors(filepath.Join(env.Dir, "logs"))
	}
	return err
}
