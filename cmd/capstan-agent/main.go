// Command capstan-agent runs on each Hyper-V host and serves Capstan's manager.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

// inConsole runs what ends by itself, by Ctrl-C or by a signal.
func inConsole(run func(context.Context) int) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx)
}
