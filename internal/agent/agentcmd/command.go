package agentcmd

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

	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/cmdline"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// Driver is a driver that a build of the agent has.
type Driver struct {
	// Name is what --driver takes.
	Name string
	// Summary says in half a line what hosts it is for.
	Summary string
	// Flags adds what the driver needs to know. It may be nil.
	Flags func(*flag.FlagSet)
	// Open makes the driver once the flags are parsed.
	Open func(context.Context, *slog.Logger) (hostapi.Driver, error)
}

// Main runs the command until ctx ends and returns its exit code. program is
// the name it was started under.
func Main(ctx context.Context, program string, args []string, stdout, stderr io.Writer, drivers ...Driver) int {
	o, flags := newFlags(program, drivers)
	flags.SetOutput(stderr)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		usage(stdout, program, flags, drivers)
		return cmdline.OK
	case err != nil:
		return cmdline.Misused(stderr, program, nil)
	}
	if flags.Arg(0) == "version" && flags.NArg() == 1 {
		fmt.Fprintln(stdout, program, version())
		return cmdline.OK
	}
	if flags.NArg() > 0 {
		return cmdline.Misused(stderr, program, fmt.Errorf("unknown command %q", flags.Arg(0)))
	}
	log, err := o.log.New(stderr)
	if err != nil {
		return cmdline.Misused(stderr, program, err)
	}
	driver, err := choose(o.driver, drivers)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
		return cmdline.Failure
	}
	if err := run(ctx, o, driver, log.With("host", o.name)); err != nil {
		log.Error("agent ends", "error", err)
		return cmdline.Failure
	}
	return cmdline.OK
}

func choose(name string, drivers []Driver) (Driver, error) {
	if len(drivers) == 0 {
		return Driver{}, errors.New("this build has no driver, so there is no hypervisor that it could serve")
	}
	if name == "" && len(drivers) == 1 {
		return drivers[0], nil
	}
	var names []string
	for _, d := range drivers {
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	if name == "" {
		return Driver{}, fmt.Errorf("--driver is needed: this build has %q", names)
	}
	return Driver{}, fmt.Errorf("this build has no driver %q: it has %q", name, names)
}

func run(ctx context.Context, o *options, chosen Driver, log *slog.Logger) error {
	identity, err := pki.OpenAgent(pki.AgentOptions{StateDir: filepath.Join(o.stateDir, "identity"), Now: time.Now})
	if err != nil {
		return err
	}
	if err := arm(identity, o.tokenFile, log); err != nil {
		return err
	}
	driver, err := chosen.Open(ctx, log)
	if err != nil {
		return fmt.Errorf("open driver %s: %w", chosen.Name, err)
	}
	a, err := agent.New(agent.Config{
		Driver: driver, DriverName: chosen.Name, StateDir: o.stateDir, Version: version(), Log: log,
	})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen on %s: %w", o.listen, err), a.Close(ctx))
	}
	log.Info("agent listens", "address", listener.Addr().String(), "driver", chosen.Name,
		"version", version(), "enrolled", identity.Enrolled(), "pin", identity.Pin().String())
	return agent.Serve(ctx, listener, a, identity, log)
}

// arm makes an agent that is not enrolled wait for the manager that knows the
// token. The file of a token that was used is not needed any more.
func arm(identity *pki.Agent, file string, log *slog.Logger) error {
	if identity.Enrolled() {
		return nil
	}
	if file == "" {
		log.Warn("agent is not enrolled: unless it was given a token before, it needs --enrol-token-file")
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read enrolment token: %w", err)
	}
	token, err := pki.ParseToken(string(text))
	if err != nil {
		return fmt.Errorf("read enrolment token from %s: %w", file, err)
	}
	if err := identity.Arm(token); err != nil {
		return err
	}
	log.Info("agent waits for the manager that knows its enrolment token", "token", token.ID())
	return nil
}
