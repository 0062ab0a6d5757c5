// Command e2e brings the whole product up on this machine with real guests: machine
// containers that boot the node image, read the seeds that VMs read, and run the real
// systemd, cloud-init, containerd, kubeadm, etcd, HAProxy and keepalived. It lets a
// cluster grow, fail, heal, roll and go, and says how long each step took.
//
// Steps stand on each other: what one leaves is what the next begins with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
	"github.com/capstan-k8s/capstan/internal/testenv/terminal"
)

type settings struct {
	demoenv.Options
	steps   string
	timeout time.Duration
}

func main() {
	var s settings
	terminal.AddFlags(flag.CommandLine, &s.Options, ".e2e")
	s.Hosts = 3
	flag.StringVar(&s.steps, "steps", "all", "how far to go: the `number` of the last step before deletion, of "+strings.Join(numbers(), ", ")+", or 'all'")
	flag.DurationVar(&s.timeout, "timeout", 10*time.Minute, "how long each part of a step may take")
	check := flag.Bool("check", false, "do nothing but check the arguments")
	flag.Parse()
	if flag.NArg() > 0 || s.Assets == "" && !*check || s.steps != "all" && !slices.Contains(numbers(), s.steps) {
		fmt.Fprintln(os.Stderr, "e2e: takes no arguments, needs --assets, and knows the steps "+strings.Join(numbers(), ", ")+" and all; see --help, or use make e2e")
		os.Exit(2)
	}
	if *check {
		return
	}
	terminal.Main("e2e", func(ctx context.Context) error { return run(ctx, s) })
}

func run(ctx context.Context, s settings) error {
	screen := terminal.NewScreen(os.Stdout)
	s.Report, s.RealGuests = screen.Step, true
	told := &story{began: time.Now()}
	whole := ctx
	err := terminal.Tell(ctx, s.Options, func(ctx context.Context, env *demoenv.Env) error {
		told.Narrator = &narrator.Narrator{Env: env, Screen: screen, Timeout: s.timeout}
		err := told.tell(ctx, s.steps)
		if err != nil && !errors.Is(context.Cause(ctx), context.Canceled) {
			screen.LogErrors(filepath.Join(env.Dir, "logs"))
			err = errors.Join(err, told.keepEvidence(whole))
		}
		return err
	})
	if err == nil {
		// What it left on the machine is gone, too.
		told.result()
	}
	return err
}
