package agentcmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/buildinfo"
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
	// StateDir is told the agent's state folder before Open, for what the driver keeps on
	// its host. It may be nil.
	StateDir func(dir string)
	// Open makes the driver once the flags are parsed.
	Open func(context.Context, *slog.Logger) (hostapi.Driver, error)
}

// Command is the agent as a program. Its zero value logs to standard error and
// tells nobody that it listens.
type Command struct {
	// Program is the name that it was started under.
	Program string
	// Drivers are those that the build has.
	Drivers []Driver
	// Service is told by --help, where the agent can be a service of its host.
	Service string
	// Log makes the handler of log lines from the least level that is logged; nil
	// means lines on standard error.
	Log func(slog.Leveler) slog.Handler
	// Guard keeps others out of the state folder, where the file system's mode bits
	// cannot. It may be nil.
	Guard func(dir string) error
	// Clock is the time that the agent lives in; nil means the system's.
	Clock agent.Clock
	// Listening is called once the manager can reach the agent. It may be nil.
	Listening func()
}

// Main runs the command until ctx ends and returns its exit code. program is
// the name it was started under.
func Main(ctx context.Context, program string, args []string, stdout, stderr io.Writer, drivers ...Driver) int {
	return Command{Program: program, Drivers: drivers}.Run(ctx, args, stdout, stderr)
}

// Run runs the command until ctx ends and returns its exit code.
func (c Command) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, flags, err := c.parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		c.usage(stdout, flags)
		return cmdline.OK
	case err != nil:
		c.logMisuse(err)
		return cmdline.Misused(stderr, c.Program, nil)
	}
	switch {
	case flags.NArg() == 0:
	case flags.Arg(0) == "version" && flags.NArg() == 1:
		fmt.Fprintln(stdout, c.Program, buildinfo.Version())
		return cmdline.OK
	case flags.Arg(0) == "token" && flags.NArg() == 1:
		fmt.Fprintln(stdout, pki.NewToken().Reveal())
		return cmdline.OK
	default:
		return c.misused(stderr, fmt.Errorf("unknown command %q", flags.Arg(0)))
	}
	log, err := o.log.New(stderr)
	if err != nil {
		return c.misused(stderr, err)
	}
	if c.Log != nil {
		log = slog.New(c.Log(o.log.Level()))
	}
	driver, err := choose(o.driver, c.Drivers)
	if err != nil {
		if c.Log != nil {
			log.Error("agent ends", EventDriver.attr(), "error", err)
		}
		fmt.Fprintf(stderr, "%s: %v\n", c.Program, err)
		return cmdline.Failure
	}
	if err := c.serve(ctx, o, driver, log.With("host", o.name)); err != nil {
		log.Error("agent ends", eventOf(err).attr(), "error", err)
		return cmdline.Failure
	}
	return cmdline.OK
}

// parse reads the command line; the flag package has said on stderr what is wrong
// with it.
func (c Command) parse(args []string, stderr io.Writer) (*options, *flag.FlagSet, error) {
	o, flags := newFlags(c.Program, c.Drivers)
	flags.SetOutput(stderr)
	return o, flags, flags.Parse(args)
}

func (c Command) misused(stderr io.Writer, err error) int {
	c.logMisuse(err)
	return cmdline.Misused(stderr, c.Program, err)
}

// logMisuse tells the log, where that is not standard error.
func (c Command) logMisuse(err error) {
	if c.Log != nil {
		slog.New(c.Log(slog.LevelInfo)).Error("agent ends: its command line is wrong", EventUsage.attr(), "error", err)
	}
}

func (c Command) now() time.Time {
	if c.Clock == nil {
		return time.Now()
	}
	return c.Clock.Now()
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

func (c Command) serve(ctx context.Context, o *options, chosen Driver, log *slog.Logger) (err error) {
	if c.Guard != nil {
		if err := c.Guard(o.stateDir); err != nil {
			return at(EventState, err)
		}
	}
	release, err := claim(o.stateDir)
	if err != nil {
		return at(EventState, err)
	}
	defer func() { err = errors.Join(err, release()) }()
	identity, err := openIdentity(o.stateDir, c.now)
	if err != nil {
		return at(EventState, err)
	}
	if err := arm(identity, o.tokenFile, log); err != nil {
		return at(EventToken, err)
	}
	if chosen.StateDir != nil {
		chosen.StateDir(o.stateDir)
	}
	driver, err := chosen.Open(ctx, log)
	if err != nil {
		return at(EventDriver, fmt.Errorf("open driver %s: %w", chosen.Name, err))
	}
	a, err := agent.New(agent.Config{
		Driver: driver, DriverName: chosen.Name, StateDir: o.stateDir, Version: buildinfo.Version(), Log: log, Clock: c.Clock,
	})
	if err != nil {
		return at(EventJournal, err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return at(EventListen, errors.Join(fmt.Errorf("listen on %s: %w", o.listen, err), a.Close(ctx)))
	}
	log.Info("agent listens", EventListens.attr(), "address", listener.Addr().String(), "driver", chosen.Name,
		"version", buildinfo.Version(), "enrolled", identity.Enrolled(), "pin", identity.Pin().String())
	if c.Listening != nil {
		c.Listening()
	}
	err = agent.Serve(ctx, listener, a, identity, log)
	if ctx.Err() != nil {
		log.Info("agent has stopped", EventStops.attr())
	}
	return at(EventServing, err)
}
