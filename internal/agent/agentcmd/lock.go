package agentcmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// errHeld means that another process has the lock.
var errHeld = errors.New("another process holds it")

// claim makes the state folder this process's alone until release is called: two
// agents that share a journal would undo each other's work.
func claim(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	file, err := lock(filepath.Join(dir, "lock"))
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("state folder %s is used by another agent on this host: stop that one, or give each a --state-dir of its own", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock state folder: %w", err)
	}
	return file.Close, nil
}
