package netlab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// NIC is the name of every node's network interface.
const NIC = "eth0"

// Node is a machine on the switch.
type Node struct {
	Name    string
	Address netip.Addr

	lab       *Lab
	addresses []netip.Prefix
	port, mac string
	// dir goes with the node; disk and logs may be elsewhere.
	dir, disk, logs string

	mu       sync.Mutex
	on       bool
	muted    bool
	services []*Service
}

// Disk is a folder that outlives a power failure.
func (n *Node) Disk() string { return n.disk }

// Run is a folder that is empty after each boot.
func (n *Node) Run() string { return filepath.Join(n.dir, "run") }

// boot makes the node's namespace and plugs it in.
func (n *Node) boot() (err error) {
	if err := os.RemoveAll(n.Run()); err != nil {
		return err
	}
	if err := os.MkdirAll(n.Run(), 0o755); err != nil {
		return err
	}
	if err := ip("netns", "add", n.Name); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// What is in it goes with it.
			err = errors.Join(err, ip("netns", "delete", n.Name))
		}
	}()
	if err := ip("link", "add", n.port, "type", "veth", "peer", "name", NIC, "address", n.mac, "netns", n.Name); err != nil {
		return err
	}
	commands := []string{"link set lo up", "link set " + NIC + " up"}
	for _, a := range n.addresses {
		commands = append(commands, assign(a, NIC)...)
	}
	for _, setting := range []string{routeLoopback, announce} {
		if err := n.set(setting, "1"); err != nil {
			return err
		}
	}
	if err := batch(n.Name, commands...); err != nil {
		return err
	}
	if err := ip("link", "set", n.port, "master", bridge, "up"); err != nil {
		return err
	}
	if err := batch(n.Name, "link set dev "+NIC+" address "+n.mac); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.on = true
	return nil
}

// Install puts a program on all nodes where nobody but root can change it, and
// returns its path there.
func (l *Lab) Install(program string) (string, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return "", fmt.Errorf("install %s: %w", filepath.Base(program), err)
	}
	path := filepath.Join(root, "programs", filepath.Base(program))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, content, 0o755)
}

// Sysctl sets a kernel setting of the node's network, such as net.ipv4.ip_forward,
// until its power goes.
func (n *Node) Sysctl(name, value string) error {
	return n.set("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), value)
}

func (n *Node) set(file, value string) error {
	return run(value, "ip", "netns", "exec", n.Name, "tee", file)
}

// Command returns a command that runs on the node.
func (n *Node) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", n.Name, program}, args...)...)
}

// Holds tells whether the node has the address now, be it reachable or not.
func (n *Node) Holds(address netip.Addr) (bool, error) {
	out, err := exec.Command("ip", "-netns", n.Name, "-brief", "address", "show", "dev", NIC).Output()
	if err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		if !n.on {
			return false, nil
		}
		return false, fmt.Errorf("list addresses of %s: %w", n.Name, err)
	}
	return slices.ContainsFunc(strings.Fields(string(out)), func(word string) bool {
		held, err := netip.ParsePrefix(word)
		return err == nil && held.Addr() == address
	}), nil
}

// Remove takes the node away with all that runs on it.
func (n *Node) Remove() error {
	n.mu.Lock()
	on, muted := n.on, n.muted
	n.mu.Unlock()
	var errs []error
	if muted {
		// The rules would outlive the port, and be in force on the next of its name.
		errs = append(errs, n.Unmute())
	}
	if on {
		errs = append(errs, n.PowerOff())
	}
	n.lab.mu.Lock()
	n.lab.nodes = slices.DeleteFunc(n.lab.nodes, func(other *Node) bool { return other == n })
	n.lab.mu.Unlock()
	return errors.Join(append(errs, os.RemoveAll(n.dir))...)
}
