package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// plantedErrors are what hack/planted-agent does wrong if it is told to, and what the
// auditor must find then.
var plantedErrors = map[string]class{"double": duplicate, "leak": orphan, "unowned": lost}

func planted() []string { return slices.Sorted(maps.Keys(plantedErrors)) }

// usePlanted has the hosts' agents be those that err on purpose, where that is asked
// for: the environment takes its programs from a folder in which they are in the place
// of the sound ones.
func usePlanted(s *settings) error {
	if s.plant == "" {
		return nil
	}
	if _, ok := plantedErrors[s.plant]; !ok {
		return fmt.Errorf("nobody knows how to plant %q: there are %v", s.plant, planted())
	}
	sound, err := filepath.Abs(s.Binaries)
	if err != nil {
		return fmt.Errorf("finding the programs: %w", err)
	}
	s.Binaries = filepath.Join(s.Dir, "programs")
	if err := os.MkdirAll(s.Binaries, 0o700); err != nil {
		return fmt.Errorf("planting an error: %w", err)
	}
	for name, program := range map[string]string{"capstan": "capstan", "fabric": "fabric", "dev-agent": "planted-agent"} {
		link := filepath.Join(s.Binaries, name)
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("planting an error: %w", err)
		}
		if err := os.Symlink(filepath.Join(sound, program), link); err != nil {
			return fmt.Errorf("planting an error: %w", err)
		}
	}
	for i := range clustered + standAlone {
		s.Args[demoenv.AgentName(hostName(i))] = []string{"--plant=" + s.plant}
	}
	return nil
}
