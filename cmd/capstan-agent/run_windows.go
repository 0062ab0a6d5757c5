package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/capstan-k8s/capstan/internal/agent/agentcmd"
	"github.com/capstan-k8s/capstan/internal/winservice"
	"github.com/capstan-k8s/capstan/internal/winservice/scm"
)

func run() int {
	isService, err := scm.IsService()
	if err != nil {
		fmt.Fprintln(os.Stderr, "capstan-agent: find out what started it:", err)
		return 1
	}
	if isService {
		return asService()
	}
	if len(os.Args) > 1 && os.Args[1] == "service" {
		return inConsole(service)
	}
	return inConsole(func(ctx context.Context) int {
		return command().Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	})
}

// command is the agent, as a console runs it and as the service does.
func command() agentcmd.Command {
	return agentcmd.Command{
		Program: winservice.Name, Drivers: drivers(), Service: winservice.Usage,
		Guard: func(dir string) error { return winservice.GuardState(scm.Folders{}, dir) },
	}
}

// asService says in the event log what it says, for a service has no console.
func asService() int {
	events, err := scm.OpenEvents()
	if err != nil {
		return 1
	}
	defer events.Close()
	handler := func(least slog.Leveler) slog.Handler {
		return winservice.NewEventHandler(events, least, agentcmd.EventKey)
	}
	err = scm.Run(func(ctx context.Context, ready func()) int {
		agent := command()
		agent.Log, agent.Listening = handler, ready
		return agent.Run(ctx, os.Args[1:], io.Discard, io.Discard)
	})
	if err != nil {
		slog.New(handler(slog.LevelInfo)).Error("service cannot be run", "error", err)
		return 1
	}
	return 0
}

func service(ctx context.Context) int {
	program, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "capstan-agent: find its own file:", err)
		return 1
	}
	return winservice.Command{
		System: scm.System(),
		Agent:  winservice.Agent{Program: program, StateDir: command().StateDir, TakeToken: agentcmd.TakeToken},
		Stdin:  os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}.Run(ctx, os.Args[2:])
}
