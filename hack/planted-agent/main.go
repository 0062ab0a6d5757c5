// Command planted-agent is the agent of a simulated host, with a driver that errs on
// purpose. It shows that test/chaos finds what such an error does. The errors are planted
// between the driver and its host, so that no code that is shipped knows of them.
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

	"github.com/capstan-k8s/capstan/internal/agent/agentcmd"
	"github.com/capstan-k8s/capstan/internal/driver/simulated"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := agentcmd.Main(ctx, "planted-agent", os.Args[1:], os.Stdout, os.Stderr, driver())
	stop()
	os.Exit(code)
}

func driver() agentcmd.Driver {
	var socket, planted string
	return agentcmd.Driver{
		Name:    simulated.Name,
		Summary: "a host of the fabric on this machine, with an error that is planted",
		Flags: func(flags *flag.FlagSet) {
			flags.StringVar(&socket, "fabric-socket", "", "`socket` of the host in the fabric")
			flags.StringVar(&planted, "plant", "", "`error` that is planted: "+strings.Join(slices.Sorted(maps.Keys(plants)), ", "))
		},
		Open: func(context.Context, *slog.Logger) (hostapi.Driver, error) {
			plant, ok := plants[planted]
			if !ok {
				return nil, fmt.Errorf("nobody knows how to plant %q", planted)
			}
			honest := fabricapi.UnixTransport(socket)
			return simulated.New(fabricapi.NewHostClient(plant(way{honest, fabricapi.NewHostClient(honest)}))), nil
		},
	}
}
