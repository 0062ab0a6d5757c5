package lbcmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/capstan-k8s/capstan/internal/buildinfo"
	"github.com/capstan-k8s/capstan/internal/cmdline"
	"github.com/capstan-k8s/capstan/internal/lbagent"
	"github.com/capstan-k8s/capstan/internal/lbagent/engine"
	"github.com/capstan-k8s/capstan/internal/lbagent/gate"
	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbagent/keepalived"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// Main runs the command until ctx ends and returns its exit code. program is the
// name it was started under.
func Main(ctx context.Context, program string, args []string, stdout, stderr io.Writer) int {
	o, flags := newFlags(program)
	flags.SetOutput(stderr)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		usage(stdout, program, flags)
		return cmdline.OK
	case err != nil:
		return cmdline.Misused(stderr, program, nil)
	}
	switch {
	case o.version, flags.Arg(0) == "version" && flags.NArg() == 1:
		fmt.Fprintln(stdout, program, buildinfo.Version())
		return cmdline.OK
	case flags.Arg(0) == "probe" && flags.NArg() > 1:
		return probe(ctx, flags.Arg(1), flags.Args()[2:], program, stderr)
	case flags.NArg() > 0:
		return cmdline.Misused(stderr, program, fmt.Errorf("unknown command %q", flags.Arg(0)))
	}
	log, err := o.log.New(stderr)
	if err != nil {
		return cmdline.Misused(stderr, program, err)
	}
	if err := run(ctx, o, log); err != nil {
		log.Error("load-balancer agent ends", "error", err)
		return cmdline.Failure
	}
	return cmdline.OK
}

func run(ctx context.Context, o *options, log *slog.Logger) error {
	text, err := os.ReadFile(o.config)
	if err != nil {
		return fmt.Errorf("read configuration of load balancer: %w", err)
	}
	config, err := lbapi.ParseLBConfig(text)
	if err != nil {
		return fmt.Errorf("%s: %w", o.config, err)
	}
	log = log.With("vm", config.Name)
	identity, err := openIdentity(o, config)
	if err != nil {
		return err
	}
	applier, err := newEngine(o, log)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", config.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", config.Listen, err)
	}
	agent, err := lbagent.Open(ctx, lbagent.Options{
		Name: config.Name, Version: buildinfo.Version(), StateDir: o.stateDir,
		Identity: identity, Applier: applier, Clock: systemClock{}, Log: log,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	log.Info("load-balancer agent listens", "address", listener.Addr().String(), "version", buildinfo.Version(),
		"enrolled", identity.Enrolled(), "pin", identity.Pin().String())

	looking, stop := context.WithCancel(ctx)
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		applier.Run(looking)
	}()
	defer func() {
		stop()
		<-looked
	}()
	return agent.Serve(ctx, listener)
}

// openIdentity makes an agent that is not enrolled wait for the manager that knows
// the token.
func openIdentity(o *options, config lbapi.LBConfig) (*pki.Agent, error) {
	if err := os.MkdirAll(o.stateDir, 0o700); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	identity, err := pki.OpenAgent(pki.AgentOptions{StateDir: filepath.Join(o.stateDir, "identity"), Now: time.Now})
	if err != nil {
		return nil, err
	}
	if identity.Enrolled() {
		return identity, nil
	}
	token, err := pki.ParseToken(config.EnrolmentToken)
	if err != nil {
		return nil, fmt.Errorf("read enrolment token from %s: %w", o.config, err)
	}
	return identity, identity.Arm(token)
}

func newEngine(o *options, log *slog.Logger) (*engine.Engine, error) {
	for _, file := range []string{o.haproxyConfig, o.haproxySocket, o.haproxyMaster, o.keepalivedConfig} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // HAProxy's workers run as another user
			return nil, fmt.Errorf("make folder for %s: %w", file, err)
		}
	}
	balancer, err := haproxy.New(haproxy.Options{
		Settings: haproxy.Settings{
			Socket: o.haproxySocket, StateFile: o.stateFile(), CADir: o.caDir(), User: o.haproxyUser,
			MaxConnections: o.maxConnections, HardStopAfter: o.hardStopAfter, MaxReloads: o.maxReloads,
		},
		Program: o.haproxy, ConfigFile: o.haproxyConfig, MasterSocket: o.haproxyMaster,
		Patience: o.patience, Grace: o.grace, Log: log,
	})
	if err != nil {
		return nil, err
	}
	var probe []string
	if o.probe != "" {
		probe = []string{o.probe, "probe", o.haproxySocket}
	}
	router, err := keepalived.New(keepalived.Options{
		Program: o.keepalived, ConfigFile: o.keepalivedConfig, PIDFile: o.keepalivedPID,
		Probe: probe, Patience: o.patience, Held: engine.Addresses,
		Strip: engine.StripAddress, Log: log,
	})
	if err != nil {
		return nil, err
	}
	opts := engine.Options{
		Balancer: balancer, Router: router, Hears: engine.Answers, Lives: engine.Lives, Held: engine.Addresses,
		Clock: systemClock{}, Log: log,
	}
	if o.nft != "" {
		opts.Gate = gate.Gate{Program: o.nft}
	}
	return engine.New(opts), nil
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
