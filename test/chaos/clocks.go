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
)

// jumps are by how much the clock of a host may be wrong: as that of one whose battery is
// empty, or that somebody has set to another year.
var jumps = []time.Duration{-400 * 24 * time.Hour, -26 * time.Hour, -time.Minute, time.Minute, 26 * time.Hour, 400 * 24 * time.Hour}

func clockDir(dir string) string { return filepath.Join(dir, "clocks") }

func clockFile(dir, host string) string { return filepath.Join(clockDir(dir), host) }

// clockKinds are what befalls the clocks of agents.
func clockKinds() []kind {
	return []kind{{name: "clock-jumps", share: 1, slot: lineSlot, strike: func(_ context.Context, s *storm, r *rand.Rand) (*blow, error) {
		host := s.anyHost(r)
		jump, _ := choose(r, jumps)
		if err := s.setClock(host, jump); err != nil {
			return nil, err
		}
		return &blow{whom: fmt.Sprintf("clock of %s, by %s", host, jump), lasts: between(r, 4*time.Second, 12*time.Second), end: func(context.Context) (bool, error) {
			_, err := os.Stat(clockFile(s.Dir, host))
			jumped := errors.Is(err, fs.ErrNotExist)
			return jumped, s.setClock(host, 0)
		}}, nil
	}}}
}

// setClock sets the clock of a host's agent, which takes it over as soon as it needs to
// know the time: at the next connection.
func (s *storm) setClock(host string, offset time.Duration) error {
	file := clockFile(s.Dir, host)
	laid := file + ".new"
	if err := os.WriteFile(laid, []byte(offset.String()), 0o600); err != nil {
		return fmt.Errorf("setting the clock of %s: %w", host, err)
	}
	if err := os.Rename(laid, file); err != nil {
		return fmt.Errorf("setting the clock of %s: %w", host, err)
	}
	s.lines[host].Cut()
	return nil
}
