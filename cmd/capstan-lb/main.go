// Command capstan-lb runs in each load-balancer VM and serves Capstan's manager.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/capstan-k8s/capstan/internal/lbagent/lbcmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := lbcmd.Main(ctx, "capstan-lb", os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
