package cmdline

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
)

// Exit codes.
const (
	OK      = 0
	Failure = 1
	Usage   = 2
)

// Log is what the command line says of the log.
type Log struct{ level, format string }

// AddFlags adds the flags to flags.
func (l *Log) AddFlags(flags *flag.FlagSet) {
	flags.StringVar(&l.level, "log-level", "info", "least `level` that is logged: debug, info, warn or error")
	flags.StringVar(&l.format, "log-format", "text", "`format` of log lines: text or json")
}

// Level returns the least level that is logged, which New has judged.
func (l *Log) Level() slog.Level {
	var least slog.Level
	_ = least.UnmarshalText([]byte(l.level))
	return least
}

// New returns a logger that writes to w. An error names the flag and its values.
func (l *Log) New(w io.Writer) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(l.level)); err != nil {
		return nil, fmt.Errorf("--log-level %q is not debug, info, warn or error", l.level)
	}
	handler := &slog.HandlerOptions{Level: least}
	switch l.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, handler)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, handler)), nil
	default:
		return nil, fmt.Errorf("--log-format %q is neither text nor json", l.format)
	}
}

// PrintFlags writes a line for each flag, whose names fill a column of the given
// width in characters.
func PrintFlags(w io.Writer, flags *flag.FlagSet, width int) {
	flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		name := "--" + f.Name
		if value != "" {
			name += " " + value
		}
		if f.DefValue != "" && f.DefValue != "false" {
			text += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		fmt.Fprintf(w, "  %-*s %s\n", width, name, text)
	})
}

// Misused says what is wrong with the command line, unless that has been said and
// err is nil, and where help is. It returns the exit code.
func Misused(stderr io.Writer, program string, err error) int {
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
	}
	fmt.Fprintf(stderr, "Run '%s --help' for usage.\n", program)
	return Usage
}
