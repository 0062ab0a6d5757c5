// Command dev-agent is the host agent with the drivers that are for development
// and continuous integration: a host of the fabric, such a host whose Hyper-V is a
// fake, or a host of machine containers on this machine.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/capstan-k8s/capstan/internal/agent/agentcmd"
	"github.com/capstan-k8s/capstan/internal/driver/simulated"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := agentcmd.Main(ctx, "dev-agent", os.Args[1:], os.Stdout, os.Stderr, simulatedDriver(), hypervfakeDriver(), machinectrDriver())
	stop()
	os.Exit(code)
}

func simulatedDriver() agentcmd.Driver {
	var socket string
	return agentcmd.Driver{
		Name:    simulated.Name,
		Summary: "a host of the fabric on this machine, for development",
		Flags: func(flags *flag.FlagSet) {
			flags.StringVar(&socket, "fabric-socket", "", "`socket` of the host in the fabric")
		},
		Open: func(context.Context, *slog.Logger) (hostapi.Driver, error) {
			if socket == "" {
				return nil, errors.New("--fabric-socket is needed")
			}
			return simulated.Dial(socket), nil
		},
	}
}
