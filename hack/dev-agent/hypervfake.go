package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"

	"github.com/capstan-k8s/capstan/internal/agent/agentcmd"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmiremote"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// hypervfakeName is what agents say that their driver is: the one that ships, and no Hyper-V.
const hypervfakeName = "hypervfake"

func hypervfakeDriver() agentcmd.Driver {
	var socket string
	return agentcmd.Driver{
		Name:    hypervfakeName,
		Summary: "the driver for Hyper-V, on a host of the fabric that answers it as WMI would, for development",
		Flags: func(flags *flag.FlagSet) {
			flags.StringVar(&socket, "hypervfake-socket", "", "`socket` of the host in a fabric that was started with --hyperv")
		},
		Open: func(ctx context.Context, log *slog.Logger) (hostapi.Driver, error) {
			if socket == "" {
				return nil, errors.New("--hypervfake-socket is needed")
			}
			host := wmiremote.New(fabricapi.UnixTransport(socket))
			// Its failover cluster tells the host its name, and its volumes.
			return hyperv.New(ctx, hyperv.Options{
				StateDir: `C:\ProgramData\Capstan\hyperv`, WMI: host, Files: host.Files(), Sources: host.Sources(), Logger: log,
			})
		},
	}
}
