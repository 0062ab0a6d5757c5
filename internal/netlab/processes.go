package netlab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Processes are the process IDs of what runs on the node under a name, or of all
// that does where the name is empty. What has ended and was not waited for does not
// count.
func (n *Node) Processes(name string) ([]int, error) {
	var here, there syscall.Stat_t
	if err := syscall.Stat(filepath.Join(root, "netns", n.Name), &here); err != nil {
		return nil, fmt.Errorf("look at namespace %s: %w", n.Name, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// A process may end at any time, and then it is not on the node.
		if err := syscall.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &there); err != nil || there.Ino != here.Ino || there.Dev != here.Dev {
			continue
		}
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil && (name == "" || strings.TrimSpace(string(comm)) == name) {
			found = append(found, pid)
		}
	}
	return found, nil
}

// Kill ends all processes of a name at once and without a warning. There must be
// some.
func (n *Node) Kill(name string) error {
	pids, err := n.Processes(name)
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return fmt.Errorf("kill %s on %s: it does not run", name, n.Name)
	}
	return send(syscall.SIGKILL, pids)
}

// killAll ends all processes, those included that are being started meanwhile.
func (n *Node) killAll() error {
	for {
		pids, err := n.Processes("")
		if err != nil || len(pids) == 0 {
			return err
		}
		if err := send(syscall.SIGKILL, pids); err != nil {
			return err
		}
	}
}

// signalAll reaches every process, those included that are being started meanwhile.
func (n *Node) signalAll(s syscall.Signal) error {
	reached := map[int]bool{}
	for {
		pids, err := n.Processes("")
		if err != nil {
			return err
		}
		var fresh []int
		for _, pid := range pids {
			if !reached[pid] {
				fresh = append(fresh, pid)
				reached[pid] = true
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		if err := send(s, fresh); err != nil {
			return err
		}
	}
}

func send(s syscall.Signal, pids []int) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("send %s to process %d: %w", s, pid, err)
		}
	}
	return nil
}
