package winservice

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/capstan-k8s/capstan/internal/cmdline"
)

// Exit codes of status, beside those of internal/cmdline.
const (
	NotRunning   = 3
	NotInstalled = 4
)

// Agent is what the service runs.
type Agent struct {
	// Program is the full path of the agent.
	Program string
	// StateDir judges the agent's flags and returns the state folder that they say.
	StateDir func(args []string) (string, error)
	// TakeToken hands the token in a file to the agent of a state folder.
	TakeToken func(stateDir, file string) (string, error)
}

// Command is 'capstan-agent service'.
type Command struct {
	System System
	Agent  Agent
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

const program = Name + " service"

// Usage is the line for the agent's own --help.
const Usage = "  " + program + " install|uninstall|start|stop|status [flags]\n"

// Run carries out a command, and returns its exit code.
func (c Command) Run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		return cmdline.Misused(c.Stderr, program, errors.New("a command is missing"))
	}
	switch command, rest := args[0], args[1:]; command {
	case "install":
		return c.install(ctx, rest)
	case "uninstall":
		return c.planned(ctx, command, rest, uninstallHelp, func() ([]Step, error) { return c.System.PlanUninstall() })
	case "start":
		return c.planned(ctx, command, rest, startHelp, c.System.planStart)
	case "stop":
		return c.planned(ctx, command, rest, stopHelp, c.System.planStop)
	case "status":
		return c.status(rest)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(c.Stdout, help)
		return cmdline.OK
	default:
		return cmdline.Misused(c.Stderr, program, fmt.Errorf("unknown command %q", command))
	}
}

func (c Command) install(ctx context.Context, args []string) int {
	var account, tokenFile string
	var passwordOnStdin, noStart, dryRun bool
	flags := newFlags("install")
	flags.StringVar(&account, "account", DefaultAccount, "`name` of the account that the service runs as: the virtual account, a group managed account DOMAIN\\name$, or a user DOMAIN\\name")
	flags.BoolVar(&passwordOnStdin, "password-stdin", false, "read the password of a user's account from the first line of standard input, in UTF-8")
	flags.StringVar(&tokenFile, "enrol-token-file", "", "`file` with the one-time enrolment token; it is handed over and the file removed")
	flags.BoolVar(&noStart, "no-start", false, "leave the service stopped")
	flags.BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	if code, parsed := c.parse(flags, args, installHelp); !parsed {
		return code
	}
	request := Request{Wanted: Wanted{Program: c.Agent.Program, Args: flags.Args(), Account: account}, Start: !noStart}
	var err error
	if request.StateDir, err = c.Agent.StateDir(flags.Args()); err != nil {
		return cmdline.Misused(c.Stderr, program, fmt.Errorf("flags of the agent: %w", err))
	}
	if passwordOnStdin {
		if request.Password, err = readPassword(c.Stdin); err != nil {
			return c.failed(err)
		}
	}
	if tokenFile != "" {
		request.TakeToken = func() (string, error) { return c.Agent.TakeToken(request.StateDir, tokenFile) }
	}
	return c.carry(ctx, dryRun, func() ([]Step, error) { return c.System.PlanInstall(request) })
}

// readPassword reads one line. Programs of Windows like to put a mark in front of
// UTF-8.
func readPassword(r io.Reader) (Secret, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return Secret{}, fmt.Errorf("read password: %w", err)
	}
	password := strings.TrimRight(strings.TrimPrefix(line, "\ufeff"), "\r\n")
	if password == "" {
		return Secret{}, errors.New("read password: standard input is empty")
	}
	return NewSecret(password), nil
}

func (c Command) planned(ctx context.Context, name string, args []string, text string, plan func() ([]Step, error)) int {
	var dryRun bool
	flags := newFlags(name)
	flags.BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	if code, parsed := c.parse(flags, args, text); !parsed {
		return code
	}
	if flags.NArg() > 0 {
		return cmdline.Misused(c.Stderr, program, fmt.Errorf("%s takes no %q", name, flags.Arg(0)))
	}
	return c.carry(ctx, dryRun, plan)
}

func (c Command) carry(ctx context.Context, dryRun bool, plan func() ([]Step, error)) int {
	steps, err := plan()
	if err != nil {
		return c.failed(err)
	}
	if len(steps) == 0 {
		fmt.Fprintln(c.Stdout, "nothing to do")
		return cmdline.OK
	}
	if dryRun {
		for _, step := range steps {
			fmt.Fprintln(c.Stdout, "would", step.Text)
		}
		return cmdline.OK
	}
	if err := Carry(ctx, steps, func(text string) { fmt.Fprintln(c.Stdout, text) }); err != nil {
		return c.failed(err)
	}
	return cmdline.OK
}

func (c Command) status(args []string) int {
	flags := newFlags("status")
	if code, parsed := c.parse(flags, args, statusHelp); !parsed {
		return code
	}
	installed, err := c.System.Services.Query(Name)
	if errors.Is(err, ErrNotInstalled) {
		fmt.Fprintln(c.Stdout, "not installed")
		return NotInstalled
	}
	if err != nil {
		return c.failed(fmt.Errorf("look at service %s: %w", Name, err))
	}
	config := installed.Config
	fmt.Fprintf(c.Stdout, "state:        %s\nprocess:      %d\nlast code:    %d\naccount:      %s\nstart:        %s\nrestarts:     %v\ncommand line: %s\n",
		installed.State, installed.ProcessID, installed.ExitCode, config.Account, config.start(), config.Restarts, config.CommandLine)
	if installed.Unreadable != nil {
		fmt.Fprintf(c.Stdout, "not all could be read: %v\n", installed.Unreadable)
	}
	if installed.State != Running {
		return NotRunning
	}
	return cmdline.OK
}

func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(program+" "+name, flag.ContinueOnError)
	flags.Usage = func() {}
	return flags
}

func (c Command) parse(flags *flag.FlagSet, args []string, text string) (code int, parsed bool) {
	flags.SetOutput(c.Stderr)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(c.Stdout, text)
		cmdline.PrintFlags(c.Stdout, flags, 26)
		return cmdline.OK, false
	case err != nil:
		return cmdline.Misused(c.Stderr, program, nil), false
	}
	return cmdline.OK, true
}

func (c Command) failed(err error) int {
	fmt.Fprintf(c.Stderr, "%s: %v\n", program, err)
	return cmdline.Failure
}
