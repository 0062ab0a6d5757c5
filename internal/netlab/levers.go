package netlab

import (
	"errors"
	"fmt"
	"syscall"
)

// Cut has the switch lose the node, while the node still sees a link: what a VM
// sees of its host's cable.
func (n *Node) Cut() error { return ip("link", "set", n.port, "nomaster") }

// Uncut ends Cut.
func (n *Node) Uncut() error { return ip("link", "set", n.port, "master", bridge) }

// Unplug takes the node's own cable out: it sees no link.
func (n *Node) Unplug() error { return ip("link", "set", n.port, "down") }

// Plug ends Unplug.
func (n *Node) Plug() error { return ip("link", "set", n.port, "up") }

// Mute loses so many percent of the frames that the node sends. It still hears.
func (n *Node) Mute(percent int) error {
	n.mu.Lock()
	n.muted = true
	n.mu.Unlock()
	return lose(n.port, percent, n.port)
}

// Deafen loses so many percent of the frames that are sent to the node. It is still
// heard.
func (n *Node) Deafen(percent int) error {
	return lose(n.port, percent, NIC, "netns", "exec", n.Name)
}

// lose drops frames that come in from a device.
func lose(table string, percent int, device string, in ...string) error {
	rules := fmt.Sprintf("add table netdev %[1]s\nadd chain netdev %[1]s loss { type filter hook ingress device %[2]s priority 0; }\n"+
		"add rule netdev %[1]s loss numgen random mod 100 <= %[3]d drop\n", table, device, percent-1)
	return nft(rules, in...)
}

func nft(rules string, in ...string) error {
	command := append(append([]string{}, in...), "nft", "-f", "-")
	if len(in) > 0 {
		return run(rules, "ip", command...)
	}
	return run(rules, command[0], command[1:]...)
}

// Unmute ends Mute.
func (n *Node) Unmute() error {
	n.mu.Lock()
	n.muted = false
	n.mu.Unlock()
	return nft("delete table netdev " + n.port + "\n")
}

// Undeafen ends Deafen.
func (n *Node) Undeafen() error {
	return nft("delete table netdev "+n.port+"\n", "netns", "exec", n.Name)
}

// PowerOff ends the node between two instructions: nothing that it was about to say
// reaches the switch, and all that is left is its disk.
func (n *Node) PowerOff() error {
	n.mu.Lock()
	n.on = false
	services := n.services
	n.mu.Unlock()
	// A node that was cut off has no place on the switch to lose.
	_ = n.Cut()
	for _, s := range services {
		s.forget(syscall.SIGKILL)
	}
	err := n.killAll()
	for _, s := range services {
		s.wait()
	}
	return errors.Join(err, ip("link", "delete", n.port), ip("netns", "delete", n.Name))
}

// PowerOn boots the node with what is on its disk, and starts its services.
// Settings are to be made again before, in prepare.
func (n *Node) PowerOn(prepare func() error) error {
	if err := n.boot(); err != nil {
		return err
	}
	if err := prepare(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.services {
		if err := s.run(); err != nil {
			return err
		}
	}
	return nil
}

// Freeze stops the node's processes where they are, as a hypervisor pauses a VM. Its
// kernel goes on answering.
func (n *Node) Freeze() error { return n.signalAll(syscall.SIGSTOP) }

// Thaw has them go on.
func (n *Node) Thaw() error { return n.signalAll(syscall.SIGCONT) }
