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

// Plug gives a guest in this process its addresses, until unplug is called. It fails
// where another guest has one of them.
func (n *Network) Plug(nics []seed.NIC) (unplug func() error, err error) {
	if err := n.connect(nics); err != nil {
		return nil, err
	}
	var taken []netip.Addr
	unplug = func() error {
		var errs []error
		for _, a := range taken {
			errs = append(errs, n.lab.Leave(a))
		}
		return errors.Join(errs...)
	}
	for _, a := range addresses(nics) {
		if err := n.lab.Take(a.Addr()); err != nil {
			return nil, errors.Join(err, unplug())
		}
		taken = append(taken, a.Addr())
	}
	return unplug, nil
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
