package agentcmd

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/capstan-k8s/capstan/internal/cmdline"
)

// options is what the command line says.
type options struct {
	listen, stateDir, name, tokenFile string
	driver                            string
	log                               cmdline.Log
}

func newFlags(program string, drivers []Driver) (*options, *flag.FlagSet) {
	o := &options{}
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	// Main prints the usage, to where it belongs.
	flags.Usage = func() {}
	flags.StringVar(&o.listen, "listen", ":7443", "`address` to listen on for the manager")
	flags.StringVar(&o.stateDir, "state-dir", DefaultStateDir(), "`folder` for the agent's identity and journal, for it alone")
	flags.StringVar(&o.name, "name", hostName(), "`name` of this host in log lines")
	flags.StringVar(&o.tokenFile, "enrol-token-file", "", "`file` with the one-time enrolment token; needed until the agent is enrolled")
	flags.StringVar(&o.driver, "driver", "", "`name` of the driver; may be left out where the build has one")
	o.log.AddFlags(flags)
	for _, d := range drivers {
		if d.Flags != nil {
			d.Flags(flags)
		}
	}
	return o, flags
}

func (c Command) usage(w io.Writer, flags *flag.FlagSet) {
	fmt.Fprintf(w, `%[1]s stands between Capstan's manager and the hypervisor of this host.

It listens for the manager, which dials it over mutual TLS 1.3, and remembers in
its state folder what it was asked to do. At its first start give it the
enrolment token that the manager was given for this host.

Usage:
  %[1]s [flags]
%[2]s  %[1]s token     print a new enrolment token, for one host and the manager
  %[1]s version

Drivers:
`, c.Program, c.Service)
	for _, d := range c.Drivers {
		fmt.Fprintf(w, "  %-12s %s\n", d.Name, d.Summary)
	}
	if len(c.Drivers) == 0 {
		fmt.Fprintln(w, "  none: this build cannot serve a host and ends at once")
	}
	fmt.Fprintln(w, "\nFlags:")
	cmdline.PrintFlags(w, flags, 26)
}

// DefaultStateDir is where the agent's state lies unless it is told otherwise.
func DefaultStateDir() string {
	if runtime.GOOS != "windows" {
		return "/var/lib/capstan-agent"
	}
	data := os.Getenv("ProgramData")
	if data == "" {
		data = `C:\ProgramData`
	}
	return data + `\Capstan`
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return strings.ToLower(name)
}

// StateDir judges flags that a service is to run with, and returns the state
// folder that they say.
func (c Command) StateDir(args []string) (string, error) {
	o, flags, err := c.parse(args, io.Discard)
	switch {
	case err != nil:
		return "", err
	case flags.NArg() > 0:
		return "", fmt.Errorf("%q is no flag", flags.Arg(0))
	case o.tokenFile != "":
		return "", errors.New("--enrol-token-file would stay in the service's command line: hand the token over when the service is installed")
	}
	if _, err := o.log.New(io.Discard); err != nil {
		return "", err
	}
	if _, err := choose(o.driver, c.Drivers); err != nil {
		return "", err
	}
	return o.stateDir, nil
}
