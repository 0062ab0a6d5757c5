package lbvm

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/capstan-k8s/capstan/internal/fabric/guest/seed"
	"github.com/capstan-k8s/capstan/internal/netlab"
	"github.com/capstan-k8s/capstan/internal/netlab/lbnode"
)

// Network is the switch of a fabric.
type Network struct {
	lab      *netlab.Lab
	outside  *netlab.Outside
	programs lbnode.Programs
}

// New returns a network without guests. What is outside reaches the guests by the
// addresses in their seeds.
func New(outside *netlab.Outside, programs lbnode.Programs) (*Network, error) {
	lab, err := netlab.NewSwitch()
	if err != nil {
		return nil, fmt.Errorf("make the switch of load-balancer VMs: %w", err)
	}
	n := &Network{lab: lab, outside: outside, programs: programs}
	for _, program := range []*string{&n.programs.CapstanLB, &n.programs.Probe} {
		if *program, err = lab.Install(*program); err != nil {
			return nil, errors.Join(err, lab.Close())
		}
	}
	return n, nil
}

// Close takes the power of all that is left.
func (n *Network) Close() error { return n.lab.Close() }

// Attachment is what a guest is at the network by.
type Attachment interface {
	fmt.Stringer
	// Link cuts the guest off as a cut cable of its host does, or ends that.
	Link(up bool) error
	// Remove takes it away for good.
	Remove() error
}

// Plug gives a guest in this process its addresses. It fails where another guest has
// one of them.
func (n *Network) Plug(nics []seed.NIC) (Attachment, error) {
	if err := n.connect(nics); err != nil {
		return nil, err
	}
	p := &port{network: n, addresses: addresses(nics)}
	if err := p.Link(true); err != nil {
		return nil, errors.Join(err, p.Remove())
	}
	return p, nil
}

// port has the addresses of a guest in this process, while it is linked.
type port struct {
	network   *Network
	addresses []netip.Prefix
	// taken are the addresses that the guest has now.
	taken []netip.Addr
}

// String implements fmt.Stringer.
func (p *port) String() string { return fmt.Sprint(p.addresses) }

// Link implements Attachment.
func (p *port) Link(up bool) error {
	if !up {
		return p.Remove()
	}
	for _, a := range p.addresses[len(p.taken):] {
		if err := p.network.lab.Take(a.Addr()); err != nil {
			return err
		}
		p.taken = append(p.taken, a.Addr())
	}
	return nil
}

// Remove implements Attachment.
func (p *port) Remove() error {
	var errs []error
	for _, a := range p.taken {
		errs = append(errs, p.network.lab.Leave(a))
	}
	p.taken = nil
	return errors.Join(errs...)
}

// connect has the networks of a guest reached from outside.
func (n *Network) connect(nics []seed.NIC) error {
	for _, nic := range nics {
		for _, a := range nic.Addresses {
			if !a.Contains(nic.Gateway) {
				return fmt.Errorf("network %s has no gateway, and only from there can it be reached", a.Masked())
			}
			if err := n.lab.Connect(n.outside, a.Masked(), nic.Gateway); err != nil {
				return err
			}
		}
	}
	return nil
}

func addresses(nics []seed.NIC) []netip.Prefix {
	var all []netip.Prefix
	for _, nic := range nics {
		all = append(all, nic.Addresses...)
	}
	return all
}
