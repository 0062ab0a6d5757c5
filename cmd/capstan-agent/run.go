//go:build !windows

package main

import (
	"context"
	"os"

	"github.com/capstan-k8s/capstan/internal/agent/agentcmd"
)

func run() int {
	return inConsole(func(ctx context.Context) int {
		return agentcmd.Main(ctx, "capstan-agent", os.Args[1:], os.Stdout, os.Stderr, drivers()...)
	})
}
