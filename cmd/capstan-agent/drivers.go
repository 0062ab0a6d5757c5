//go:build !windows

package main

import "github.com/capstan-k8s/capstan/internal/agent/agentcmd"

// drivers are those of the shipped agent. Its only hypervisor is on Windows.
func drivers() []agentcmd.Driver { return nil }
