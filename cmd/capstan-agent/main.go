// Command capstan-agent runs on each Hyper-V host and serves Capstan's manager.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/capstan-k8s/capstan/internal/agent/agentcmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := agentcmd.Main(ctx, "capstan-agent", os.Args[1:], os.Stdout, os.Stderr, drivers()...)
	stop()
	os.Exit(code)
}
