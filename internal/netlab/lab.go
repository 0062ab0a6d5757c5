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

// bridgeMAC is told to the kernel, which would have the switch answer by the least of
// its ports' and by another one whenever that port goes: nodes would talk to nobody
// until they ask anew.
const bridgeMAC = "02:00:00:01:00:00"

// Lab is a switch and the nodes on it. The program itself is at the switch.
type Lab struct {
	network netip.Prefix

	mu    sync.Mutex
	nodes []*Node
	// ports counts all that there ever were: none is called as another was.
	ports int

	connecting sync.Mutex
	// connected are the networks that are reached from outside.
	connected map[netip.Prefix]bool
}

// New makes a switch in network; self is the program's own address on it. There is
// one at a time.
func New(network netip.Prefix, self netip.Addr) (*Lab, error) {
	l, err := NewSwitch()
	if err != nil {
		return nil, err
	}
	l.network = network
	if err := batch("", assign(l.inNetwork(self), bridge)...); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// NewSwitch makes a switch at which the program has no address.
func NewSwitch() (*Lab, error) {
	l := &Lab{connected: map[netip.Prefix]bool{}}
	if err := ip("link", "add", bridge, "address", bridgeMAC, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"); err != nil {
		return nil, err
	}
	// Frames between nodes are no business of the firewall of whoever carries them.
	for _, family := range []string{"iptables", "arptables", "ip6tables"} {
		err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+family, []byte("0"), 0o600)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, l.Close())
		}
	}
	for _, setting := range []string{routeLoopback, announce} {
		if err := os.WriteFile(setting, []byte("1"), 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("make settings of the switch: %w", err), l.Close())
		}
	}
	if err := ip("link", "set", bridge, "up"); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close takes all nodes and the switch away.
func (l *Lab) Close() error {
	var errs []error
	for _, n := range l.Nodes() {
		errs = append(errs, n.Remove())
	}
	l.connecting.Lock()
	defer l.connecting.Unlock()
	if len(l.connected) > 0 {
		errs = append(errs, ip("link", "delete", uplink))
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
// the addresses in the network of the switch, of which the first is its own.
func (l *Lab) NewNode(name string, addresses ...netip.Addr) (*Node, error) {
	o := NodeOptions{Name: name}
	for _, a := range addresses {
		o.Addresses = append(o.Addresses, l.inNetwork(a))
	}
	return l.Add(o)
}

// NodeOptions say what a node is like.
type NodeOptions struct {
	// Name is unique on the switch.
	Name string
	// Addresses of its NIC, with their networks. The first is its own.
	Addresses []netip.Prefix
	// MAC of its NIC; empty for one that is chosen here.
	MAC string
	// Disk is a folder that outlives the node, and has the logs of its services; empty
	// for one that is new and goes with it.
	Disk string
}

// Add puts a node on the switch. Its power is on.
func (l *Lab) Add(o NodeOptions) (*Node, error) {
	l.mu.Lock()
	l.ports++
	n := &Node{
		Name: o.Name, Address: o.Addresses[0].Addr(),
		lab: l, addresses: o.Addresses, port: fmt.Sprintf("port%d", l.ports), mac: o.MAC,
		dir: filepath.Join(root, "nodes", o.Name), disk: o.Disk, logs: o.Disk,
	}
	if n.mac == "" {
		n.mac = fmt.Sprintf("02:00:00:00:%02x:%02x", l.ports>>8&0xff, l.ports&0xff)
	}
	if n.disk == "" {
		n.disk, n.logs = filepath.Join(n.dir, "disk"), n.dir
	}
	l.nodes = append(l.nodes, n)
	l.mu.Unlock()
	if err := os.RemoveAll(n.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(n.disk, 0o755); err != nil {
		return nil, err
	}
	return n, n.boot()
}

func (l *Lab) inNetwork(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, l.network.Bits()) }

func ip(args ...string) error { return run("", "ip", args...) }

// batch has ip carry out a list of commands in a namespace, or in the program's own
// where none is named.
func batch(namespace string, commands ...string) error {
	args := []string{"-batch", "-"}
	if namespace != "" {
		args = append([]string{"-netns", namespace}, args...)
	}
	return run(strings.Join(commands, "\n"), "ip", args...)
}

func run(input, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
