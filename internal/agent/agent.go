package agent

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Config is what an Agent needs.
type Config struct {
	// Driver calls the host.
	Driver hostapi.Driver
	// DriverName is told to the manager.
	DriverName string
	// StateDir is for this agent alone. The journal lies in it.
	StateDir string
	// Version is the agent's own.
	Version string
	Log     *slog.Logger
	// Clock is the system's if it is nil.
	Clock Clock
	// NewRef makes the reference of an operation; nil means a random one.
	NewRef func() string

	// files is a real file system if it is nil.
	files files
}

// Agent adds journal, locks, ownership and tombstones to a driver. It is safe
// for concurrent use.
type Agent struct {
	driver     hostapi.Driver
	driverName string
	version    string
	clock      Clock
	log        *slog.Logger
	journal    *journal
	operations *operations
	boot       boot
}

var _ hostapi.Agent = (*Agent)(nil)

// New reads the journal and goes on with what it says. Close ends the agent.
func New(c Config) (*Agent, error) {
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.NewRef == nil {
		c.NewRef = rand.Text
	}
	if c.files == nil {
		c.files = disk{}
	}
	j, records, err := openJournal(filepath.Join(c.StateDir, "journal"), c.files, c.Clock.Now, c.Log)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	a := &Agent{
		driver: guarded{driver: newDiscreet(c.Driver), clock: c.Clock, log: c.Log}, driverName: c.DriverName, version: c.Version,
		clock: c.Clock, log: c.Log, journal: j, operations: newOperations(j, c.Clock, c.NewRef, c.Log),
	}
	a.operations.resume(records, a.resumed)
	return a, nil
}

// Close stops the work that is under way and leaves it to the journal. It waits
// for the driver to return, or for ctx.
func (a *Agent) Close(ctx context.Context) error {
	if err := a.operations.close(ctx); err != nil {
		return fmt.Errorf("close agent while the driver works: %w", err)
	}
	return nil
}

// Run looks after the agent until ctx ends: it notices boots of the host and
// forgets old operations.
func (a *Agent) Run(ctx context.Context) {
	said := ""
	for {
		_, err := a.Inventory(ctx)
		if ctx.Err() == nil {
			said = a.logSilence(err, said)
		}
		a.operations.sweep()
		timeout, giveUp := a.clock.After(lookEvery)
		select {
		case <-timeout:
		case <-ctx.Done():
			giveUp()
			return
		}
	}
}

// logSilence tells once what keeps the host from telling how it is, and when that
// is over: told at every look, it would push all else out of the host's event log.
func (a *Agent) logSilence(err error, said string) string {
	switch {
	case err == nil && said != "":
		a.log.Info("host tells again how it is")
	case err != nil && err.Error() != said:
		a.log.Warn("host does not tell how it is", "error", err)
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

// Hello implements hostapi.Agent.
func (a *Agent) Hello(ctx context.Context) (hostapi.Hello, error) {
	host, err := a.host(ctx)
	if err != nil {
		return hostapi.Hello{}, err
	}
	return hostapi.Hello{
		Host: host.name, Version: a.version, Protocols: hostapi.Protocols(), Driver: a.driverName,
		BootID: host.bootID, AwaitingBury: a.boot.awaitsBury(a.journal.restoredBoot()),
	}, nil
}

// Inventory implements hostapi.Driver.
func (a *Agent) Inventory(ctx context.Context) (hostapi.Inventory, error) {
	inventory, err := a.driver.Inventory(ctx)
	if err != nil {
		return hostapi.Inventory{}, err
	}
	if a.boot.observe(inventory, a.journal.restoredBoot()) {
		a.log.Info("host was booted: the manager's tombstones are waited for before a VM is started", "host", inventory.Host, "bootID", inventory.BootID)
	}
	return inventory, nil
}

// GetOperation implements hostapi.Agent.
func (a *Agent) GetOperation(_ context.Context, ref string) (hostapi.Operation, error) {
	operation, known := a.operations.find(ref)
	if !known {
		return hostapi.Operation{}, hostapi.Errorf(hostapi.NotFound, "GetOperation", "", "operation %s is not known", ref)
	}
	return operation, nil
}

// fail returns a typed error as an error, so that none is nil.
func fail(err *hostapi.Error) error {
	if err == nil {
		return nil
	}
	return err
}

// failed is the outcome of a call that ended with err.
func failed(k kind, err error) outcome {
	return outcome{err: hostapi.AsError(string(k), err)}
}
