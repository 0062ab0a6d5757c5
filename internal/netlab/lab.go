package netlab

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// root is where everything of the laboratory is: a file system in memory that only
// this program sees.
const root = "/run"

const bridge = "switch"

// Lab is a switch and the nodes on it. The program itself has an address on it.
type Lab struct {
	network netip.Prefix

	mu    sync.Mutex
	nodes []*Node
}

// New makes a switch in network; self is the program's own address on it. There is
// one at a time.
func New(network netip.Prefix, self netip.Addr) (*Lab, error) {
	l := &Lab{network: network}
	if err := ip("link", "add", bridge, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"); err != nil {
		return nil, err
	}
	// Frames between nodes are no business of the firewall of whoever carries them.
	for _, family := range []string{"iptables", "arptables", "ip6tables"} {
		err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+family, []byte("0"), 0o600)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, l.Close())
		}
	}
	err := ip("address", "add", l.inNetwork(self), "dev", bridge)
	if err == nil {
		err = ip("link", "set", bridge, "up")
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close takes all nodes and the switch away.
func (l *Lab) Close() error {
	var errs []error
	for _, n := range l.Nodes() {
		errs = append(errs, n.remove())
	}
	return errors.Join(append(errs, ip("link", "delete", bridge))...)
}

// Nodes are the nodes on the switch, in the order in which they came.
func (l *Lab) Nodes() []*Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*Node(nil), l.nodes...)
}

// NewNode puts a node on the switch. Its disk is empty and its power is on. It has
// the addresses, of which the first is its own.
func (l *Lab) NewNode(name string, addresses ...netip.Addr) (*Node, error) {
	l.mu.Lock()
	number := len(l.nodes) + 1
	n := &Node{
		Name: name, Address: addresses[0],
		lab: l, addresses: addresses,
		port: fmt.Sprintf("port%d", number),
		mac:  fmt.Sprintf("02:00:00:00:00:%02x", number),
		dir:  filepath.Join(root, "nodes", name),
	}
	l.nodes = append(l.nodes, n)
	l.mu.Unlock()
	if err := os.RemoveAll(n.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(n.Disk(), 0o755); err != nil {
		return nil, err
	}
	return n, n.boot()
}

func (l *Lab) inNetwork(a netip.Addr) string {
	return netip.PrefixFrom(a, l.network.Bits()).String()
}

func ip(args ...string) error { return run("", "ip", args...) }

// batch has ip carry out a list of commands in a namespace.
func batch(namespace string, commands ...string) error {
	return run(strings.Join(commands, "\n"), "ip", "-netns", namespace, "-batch", "-")
}

func run(input, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
