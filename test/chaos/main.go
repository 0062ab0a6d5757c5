package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/terminal"
)

type settings struct {
	demoenv.Options
	seed    uint64
	faults  int
	only    string
	plant   string
	timeout time.Duration
}

func main() {
	s := parse()
	terminal.Main("chaos", func(ctx context.Context) error { return run(ctx, s) })
}

func parse() *settings {
	s := &settings{}
	terminal.AddFlags(flag.CommandLine, &s.Options, ".chaos")
	flag.DurationVar(&s.BootTime, "boot-time", time.Second, "how long a simulated VM takes to boot")
	flag.Uint64Var(&s.seed, "seed", 1, "seed of what the user does and of what befalls everybody")
	flag.IntVar(&s.faults, "faults", 200, "how many faults must have changed something")
	flag.StringVar(&s.only, "only", "", "kinds of faults, separated by commas, in place of all; see docs/chaos.md")
	flag.StringVar(&s.plant, "plant", "", "have the agents err on purpose, so that the auditor must find it: "+strings.Join(planted(), ", "))
	flag.DurationVar(&s.timeout, "timeout", 4*time.Minute, "how long everything may take to settle after the last fault")
	flag.Parse()
	if flag.NArg() > 0 || s.Assets == "" || s.faults < 1 {
		fmt.Fprintln(os.Stderr, "chaos: takes no arguments, needs --assets and at least one fault; see --help, or use make chaos")
		os.Exit(2)
	}
	return s
}

var errFindings = errors.New("the auditor has findings")

func run(ctx context.Context, s *settings) (err error) {
	kinds, err := kindsNamed(s.only)
	if err != nil {
		return err
	}
	network, release, err := demoenv.ClaimNetwork(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	w, err := prepare(ctx, s, network)
	if err != nil {
		return err
	}
	defer w.close()
	return terminal.Tell(ctx, s.Options, func(ctx context.Context, env *demoenv.Env) error {
		if err := w.start(ctx, env); err != nil {
			return err
		}
		return newStorm(w, s, kinds).rage(ctx)
	})
}
