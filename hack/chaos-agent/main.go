// Command chaos-agent is the agent of a simulated host for test/chaos: one whose clock
// can be set, and one that errs on purpose if it is told to, which shows that the auditor
// finds what such an error does. Errors are planted between the driver and its host, so
// that no code that is shipped knows of them.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/capstan-k8s/capstan/internal/agent/agentcmd"
	"github.com/capstan-k8s/capstan/internal/driver/simulated"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv/wallclock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	clock := &wallclock.Clock{}
	agent := agentcmd.Command{Program: "chaos-agent", Drivers: []agentcmd.Driver{driver(clock)}, Clock: agentClock{clock}}
	code := agent.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// agentClock is such a clock as an agent asks for it.
type agentClock struct{ *wallclock.Clock }

// After implements agent.Clock.
func (agentClock) After(d time.Duration) (<-chan time.Time, func()) {
	timer := time.NewTimer(d)
	return timer.C, func() { timer.Stop() }
}

func driver(clock *wallclock.Clock) agentcmd.Driver {
	var socket, planted string
	return agentcmd.Driver{
		Name:    simulated.Name,
		Summary: "a host of the fabric on this machine, for chaos",
		Flags: func(flags *flag.FlagSet) {
			flags.StringVar(&socket, "fabric-socket", "", "`socket` of the host in the fabric")
			flags.StringVar(&clock.File, "clock-offset-file", "", "`file` with an offset such as -26h, which the agent's clock takes over and then removes")
			flags.StringVar(&planted, "plant", "", "`error` that is planted: "+strings.Join(slices.Sorted(maps.Keys(plants)), ", "))
		},
		Open: func(context.Context, *slog.Logger) (hostapi.Driver, error) {
			honest := fabricapi.UnixTransport(socket)
			if planted == "" {
				return simulated.New(fabricapi.NewHostClient(honest)), nil
			}
			plant, ok := plants[planted]
			if !ok {
				return nil, fmt.Errorf("nobody knows how to plant %q", planted)
			}
			return simulated.New(fabricapi.NewHostClient(plant(way{honest, fabricapi.NewHostClient(honest)}))), nil
		},
	}
}
