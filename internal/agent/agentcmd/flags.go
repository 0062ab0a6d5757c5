package agentcmd

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
)

// options is what the command line says.
type options struct {
	listen, stateDir, name, tokenFile string
	driver                            string
	logLevel, logFormat               string
}

func newFlags(program string, drivers []Driver) (*options, *flag.FlagSet) {
	o := &options{}
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	// Main prints the usage, to where it belongs.
	flags.Usage = func() {}
	flags.StringVar(&o.listen, "listen", ":7443", "`address` to listen on for the manager")
	flags.StringVar(&o.stateDir, "state-dir", defaultStateDir(), "`folder` for the agent's identity and journal, for it alone")
	flags.StringVar(&o.name, "name", hostName(), "`name` of this host in log lines")
	flags.StringVar(&o.tokenFile, "enrol-token-file", "", "`file` with the one-time enrolment token; needed until the agent is enrolled")
	flags.StringVar(&o.driver, "driver", "", "`name` of the driver; may be left out where the build has one")
	flags.StringVar(&o.logLevel, "log-level", "info", "least `level` that is logged: debug, info, warn or error")
	flags.StringVar(&o.logFormat, "log-format", "text", "`format` of log lines: text or json")
	for _, d := range drivers {
		if d.Flags != nil {
			d.Flags(flags)
		}
	}
	return o, flags
}

func usage(w io.Writer, program string, flags *flag.FlagSet, drivers []Driver) {
	fmt.Fprintf(w, `%[1]s stands between Capstan's manager and the hypervisor of this host.

It listens for the manager, which dials it over mutual TLS 1.3, and remembers in
its state folder what it was asked to do. At its first start give it the
enrolment token that the manager was given for this host.

Usage:
  %[1]s [flags]
  %[1]s version

Drivers:
`, program)
	for _, d := range drivers {
		fmt.Fprintf(w, "  %-12s %s\n", d.Name, d.Summary)
	}
	if len(drivers) == 0 {
		fmt.Fprintln(w, "  none: this build cannot serve a host and ends at once")
	}
	fmt.Fprintln(w, "\nFlags:")
	flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		name := "--" + f.Name
		if value != "" {
			name += " " + value
		}
		if f.DefValue != "" {
			text += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		fmt.Fprintf(w, "  %-26s %s\n", name, text)
	})
}

func newLog(w io.Writer, level, format string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q is not debug, info, warn or error", level)
	}
	handler := &slog.HandlerOptions{Level: least}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, handler)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, handler)), nil
	default:
		return nil, fmt.Errorf("--log-format %q is neither text nor json", format)
	}
}

func defaultStateDir() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), "Capstan", "agent")
	}
	return "/var/lib/capstan-agent"
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return strings.ToLower(name)
}

// version is the module's, as the build recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
