package winservice

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Name is the name of the service, and of the source of its events.
const Name = "capstan-agent"

// DefaultAccount is the service's virtual account. It has no password and only
// the rights that it is given, and is the host itself to the network.
const DefaultAccount = `NT SERVICE\` + Name

const (
	localSystem = "LocalSystem"
	// drainTime is how long the agent may take to stop when the host shuts down. It
	// needs about 15 seconds at most; the default of recent Windows is 10.
	drainTime = 30 * time.Second
	// forgetFailures is how long a service must have run well for its next failure to
	// count as the first.
	forgetFailures = 24 * time.Hour
)

// Config is how a service is configured, as far as we decide it.
type Config struct {
	Name, DisplayName, Description string
	// CommandLine is the program with its arguments, each quoted as needed.
	CommandLine string
	// Account is who the service runs as.
	Account string
	// AutoStart starts the service with Windows, DelayedStart a little later.
	AutoStart, DelayedStart bool
	// ServiceSID puts the service's own identifier into its token, so that folders
	// can be opened to this service, whoever it runs as.
	ServiceSID bool
	// Restarts are the delays after which a failed service is started again. The
	// last one is for all further failures.
	Restarts []time.Duration
	// RestartOnError also restarts a service that ended by itself with an exit code.
	RestartOnError bool
	// ForgetFailures is when failures are counted from one again.
	ForgetFailures time.Duration
	// DrainTime is what the service has to stop in when the host shuts down.
	DrainTime time.Duration
}

// Wanted is what an administrator says about the service.
type Wanted struct {
	// Program is the full path of the agent.
	Program string
	// Args are the agent's own flags.
	Args []string
	// Account is who it is to run as; empty means DefaultAccount.
	Account string
	// Password of the account, for accounts that have one.
	Password Secret
	// StateDir is the agent's state folder, which the Args name or leave at its
	// default.
	StateDir string
}

// Secret is a password. No verb of fmt prints it.
type Secret struct{ text string }

// NewSecret keeps a password.
func NewSecret(text string) Secret { return Secret{text: text} }

// Reveal returns the password.
func (s Secret) Reveal() string { return s.text }

// Format implements fmt.Formatter.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// Config returns what the service has to be.
func (w Wanted) Config() (Config, error) {
	account, err := w.account()
	if err != nil {
		return Config{}, err
	}
	if !absolute(w.Program) {
		return Config{}, fmt.Errorf("program %q is not a full path on a drive of this host", w.Program)
	}
	if !absolute(w.StateDir) {
		return Config{}, fmt.Errorf("state folder %q is not a full path on a drive of this host", w.StateDir)
	}
	for _, arg := range w.Args {
		if strings.ContainsAny(arg, "\x00\r\n") {
			return Config{}, errors.New("a flag of the agent has a line break in it")
		}
	}
	return Config{
		Name:        Name,
		DisplayName: "Capstan host agent",
		Description: "Makes, starts and removes virtual machines for Capstan's manager, which dials it over mutual TLS. Virtual machines keep running while it is stopped.",
		CommandLine: Quote(append([]string{w.Program}, w.Args...)...),
		Account:     account,
		AutoStart:   true, DelayedStart: true, ServiceSID: true,
		Restarts:       []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute},
		RestartOnError: true, ForgetFailures: forgetFailures, DrainTime: drainTime,
	}, nil
}

// absolute tells whether a path begins at a local drive and stays below what it
// names.
func absolute(path string) bool {
	if len(path) < 4 || path[1] != ':' || path[2] != '\\' {
		return false
	}
	letter := path[0] | 0x20
	return letter >= 'a' && letter <= 'z' && !strings.ContainsAny(path[2:], `/:*?"<>|`+"\x00\r\n") &&
		!slices.Contains(strings.Split(path, `\`), "..")
}
