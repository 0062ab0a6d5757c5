package machinehosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// takeMachine has no other environment have hosts here as long as this one has any. What
// one that was killed has left is found by the folder that it wrote down.
func (h *Hosts) takeMachine(ctx context.Context) error {
	if err := os.MkdirAll(h.RunDir, 0o700); err != nil {
		return fmt.Errorf("making the hosts' folder: %w", err)
	}
	file := filepath.Join(h.RunDir, "folder")
	claim, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("claiming the machine for hosts: %w", err)
	}
	if err := syscall.Flock(int(claim.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(errors.New("hosts of machine containers are on this machine already: another demo or end-to-end run is using them"), claim.Close())
	}
	h.claim = claim
	before, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("looking for hosts that were left: %w", err)
	}
	for _, dir := range []string{strings.TrimSpace(string(before)), h.Dir} {
		if dir == "" {
			continue
		}
		if err := New(Options{Dir: dir, RunDir: h.RunDir}).removeAll(ctx); err != nil {
			return err
		}
	}
	if err := os.WriteFile(file, []byte(h.Dir+"\n"), 0o600); err != nil {
		return fmt.Errorf("claiming the machine for hosts: %w", err)
	}
	return nil
}

// leaveMachine lets others have hosts here.
func (h *Hosts) leaveMachine() error {
	if h.claim == nil {
		return nil
	}
	err := errors.Join(h.claim.Truncate(0), h.claim.Close())
	h.claim = nil
	return err
}
