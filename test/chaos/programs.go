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

// usePrograms has manager and agents be those of chaos, whose clocks can be set: the
// environment takes its programs from a folder in which they are in the place of the
// usual ones. Agents err on purpose where that is asked for.
func usePrograms(s *settings) error {
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
			return fmt.Errorf("making the folder of the programs: %w", err)
		}
	}
	for name, program := range map[string]string{"capstan": "chaos-manager", "fabric": "fabric", "dev-agent": "chaos-agent"} {
		if err := os.Symlink(filepath.Join(usual, program), filepath.Join(s.Binaries, name)); err != nil {
			return fmt.Errorf("providing the program %s: %w", program, err)
		}
	}
	processes := []string{demoenv.Manager}
	for i := range clustered + standAlone {
		agent := demoenv.AgentName(hostName(i))
		processes = append(processes, agent)
		s.Args[agent] = append(s.Args[agent], "--plant="+s.plant)
	}
	for _, process := range processes {
		offset, err := filepath.Abs(clockFile(s.Dir, process))
		if err != nil {
			return fmt.Errorf("finding the clock of %s: %w", process, err)
		}
		s.Args[process] = append(s.Args[process], "--clock-offset-file="+offset)
	}
	return nil
}
