package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows"
)

// alone makes this agent the only one that drives the host's Hyper-V, for as long as its process lives. The lock of a state
// folder keeps out an agent that shares it; one that was given a folder and a port of its own would make the host two
// hosts to the manager, each with all of its memory.
func alone() error {
	name, err := windows.UTF16PtrFromString(`Global\capstan-agent-hyperv`)
	if err != nil {
		return err
	}
	// The handle is never closed: it is what the next one finds.
	_, err = windows.CreateMutex(nil, false, name)
	switch {
	case errors.Is(err, windows.ERROR_ALREADY_EXISTS), errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return errors.New("another agent drives this host's Hyper-V already: a host has one agent, so stop that one or uninstall its service")
	case err != nil:
		return fmt.Errorf("become the only agent of this host: %w", err)
	default:
		return nil
	}
}
