package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// plantedErrors are what hack/chaos-agent does wrong if it is told to, and what the
// auditor must find then.
var plantedErrors = map[string]class{"double": duplicate, "leak": orphan, "unowned": lost}

func planted() []string { return slices.Sorted(maps.Keys(plantedErrors)) }

// useAgents has the hosts' agents be those of chaos: the environment takes its programs
// from a folder in which they are in the place of the usual ones. They err on purpose
// where that is asked for.
func useAgents(s *settings) error {
	if _, ok := plantedErrors[s.plant]; !ok && s.plant != "" {
		return fmt.Errorf("nobody knows how to plant %q: there are %v", s.plant, planted())
	}
	usual, err := filepath.Abs(s.Binaries)
	if err != nil {
		return fmt.Errorf("finding the programs: %w", err)
	}
	s.Binaries = filepath.Join(s.Dir, "programs")
	for _, dir := range []string{s.Binaries, clockDir(s.Dir)} {
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
			return fmt.Errorf("making the folder of the agents: %w", err)
		}
	}
	for name, program := range map[string]string{"capstan": "capstan", "fabric": "fabric", "dev-agent": "chaos-agent"} {
		if err := os.Symlink(filepath.Join(usual, program), filepath.Join(s.Binaries, name)); err != nil {
			return fmt.Errorf("providing the program of agents: %w", err)
		}
	}
	for i := range clustered + standAlone {
		host := hostName(i)
		offset, err := filepath.Abs(clockFile(s.Dir, host))
		if err != nil {
			return fmt.Errorf("finding the clock of %s: %w", host, err)
		}
		s.Args[demoenv.AgentName(host)] = []string{"--plant=" + s.plant, "--clock-offset-file=" + offset}
	}
	return nil
}
