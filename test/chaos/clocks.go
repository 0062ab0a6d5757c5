package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// jumps are by how much a clock may be wrong: as that of a machine whose battery is
// empty, or that somebody has set to another year.
var jumps = []time.Duration{-400 * 24 * time.Hour, -26 * time.Hour, -time.Minute, time.Minute, 26 * time.Hour, 400 * 24 * time.Hour}

func clockDir(dir string) string { return filepath.Join(dir, "clocks") }

func clockFile(dir, process string) string { return filepath.Join(clockDir(dir), process) }

// clockKinds are what befalls the clocks of agents and of the manager.
func clockKinds() []kind {
	return []kind{
		{name: "clock-jumps", share: 1, slot: lineSlot, strike: func(_ context.Context, s *storm, r *rand.Rand) (*blow, error) {
			host := s.anyHost(r)
			// An agent needs to know the time at the next connection.
			return s.jump(r, demoenv.AgentName(host), s.lines[host].Cut)
		}},
		{name: "manager-clock-jumps", share: 1, slot: clockSlot, strike: func(_ context.Context, s *storm, r *rand.Rand) (*blow, error) {
			return s.jump(r, demoenv.Manager, func() {})
		}},
	}
}

// jump sets the clock of a process wrong, and right again later. Each time the process
// takes it over as soon as it needs to know the time; prompt has it need to.
func (s *storm) jump(r *rand.Rand, process string, prompt func()) (*blow, error) {
	by, _ := choose(r, jumps)
	if err := s.setClock(process, by); err != nil {
		return nil, err
	}
	prompt()
	return &blow{whom: fmt.Sprintf("clock of %s, by %s", process, by), lasts: between(r, 4*time.Second, 12*time.Second), end: func(context.Context) (bool, error) {
		_, err := os.Stat(clockFile(s.Dir, process))
		jumped := errors.Is(err, fs.ErrNotExist)
		if err := s.setClock(process, 0); err != nil {
			return jumped, err
		}
		prompt()
		return jumped, nil
	}}, nil
}

func (s *storm) setClock(process string, offset time.Duration) error {
	file := clockFile(s.Dir, process)
	laid := file + ".new"
	if err := os.WriteFile(laid, []byte(offset.String()), 0o600); err != nil {
		return fmt.Errorf("setting the clock of %s: %w", process, err)
	}
	if err := os.Rename(laid, file); err != nil {
		return fmt.Errorf("setting the clock of %s: %w", process, err)
	}
	return nil
}
