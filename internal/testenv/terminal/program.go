package terminal

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// AddBootTime adds the flag that says how long simulated guests take to boot.
func AddBootTime(flags *flag.FlagSet, o *demoenv.Options) {
	flags.DurationVar(&o.BootTime, "boot-time", 2*time.Second, "how long a simulated VM takes to boot")
}

// AddFlags adds the flags that say where an environment finds and leaves things, by
// default in a folder of this name.
func AddFlags(flags *flag.FlagSet, o *demoenv.Options, dir string) {
	flags.StringVar(&o.Dir, "dir", dir, "`folder` for all that is written; what an earlier run left there goes")
	flags.StringVar(&o.Source, "source", ".", "top `folder` of the repository")
	flags.StringVar(&o.Binaries, "bin", "bin", "`folder` of the programs of make build")
	flags.StringVar(&o.Assets, "assets", os.Getenv("KUBEBUILDER_ASSETS"),
		"`folder` of etcd, kube-apiserver, kube-controller-manager and kubectl (default $KUBEBUILDER_ASSETS)")
}

// Main does what a program of this name is for, until it ends or is interrupted.
func Main(name string, do func(context.Context) error) {
	// The libraries' own logging would be in the way.
	ctrllog.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := do(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n%s: %v\n", name, err)
		os.Exit(1)
	}
}

var errInterrupted = errors.New("interrupted")

// Tell tells something in an environment, of which nothing runs yet and nothing runs
// afterwards. A process that ends by itself ends what is told.
func Tell(ctx context.Context, options demoenv.Options, tell func(context.Context, *demoenv.Env) error) (err error) {
	env, err := demoenv.New(options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.Stop()) }()
	ctx, cancel := env.WhileWell(ctx)
	defer cancel()
	err = tell(ctx, env)
	if err == nil || ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return errInterrupted
}

// Within gives a part of what is told its time.
func Within(ctx context.Context, longest time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("this took longer than %s", longest))
	defer cancel()
	return do(ctx)
}
