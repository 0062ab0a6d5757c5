package lblab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/netlab"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// The laboratory's network. The manager is at the switch. Whoever else has an address
// here has another one, by Six, in Network6.
var (
	Network  = netip.MustParsePrefix("10.77.0.0/16")
	Network6 = netip.MustParsePrefix("fd4d::/16")
	VIP      = netip.MustParseAddr("10.77.0.100")

	managerAddress = netip.MustParseAddr("10.77.0.1")
	clientAddress  = netip.MustParseAddr("10.77.0.2")
)

// Six returns the IPv6 address of whoever has an IPv4 address of the laboratory.
func Six(a netip.Addr) netip.Addr {
	four, six := a.As4(), Network6.Addr().As16()
	copy(six[12:], four[:])
	return netip.AddrFrom16(six)
}

// Programs are the paths of what runs.
type Programs struct {
	// CapstanLB is cmd/capstan-lb, Traffic is hack/lab-traffic. Probe is the one of
	// cmd/capstan-lb that keepalived runs every second.
	CapstanLB, Probe, Traffic string
}

// Lab is load-balancer VMs, a client and servers on a switch.
type Lab struct {
	Net     *netlab.Lab
	VMs     []*VM
	Client  *netlab.Node
	Servers *netlab.Node

	programs Programs
	manager  *pki.ManagerIdentity
	stop     context.CancelFunc

	mu         sync.Mutex
	generation int64
}

// Start brings so many load-balancer VMs up, enrolled and with no plan, and the
// servers. Whoever calls it closes it, also when it fails.
func Start(ctx context.Context, programs Programs, vms int) (*Lab, error) {
	ctx, stop := context.WithCancel(ctx)
	l := &Lab{programs: programs, stop: stop}
	return l, l.start(ctx, vms)
}

func (l *Lab) start(ctx context.Context, vms int) (err error) {
	if l.Net, err = netlab.New(Network, managerAddress); err != nil {
		return err
	}
	for _, program := range []*string{&l.programs.CapstanLB, &l.programs.Probe, &l.programs.Traffic} {
		if *program, err = l.Net.Install(*program); err != nil {
			return err
		}
	}
	ca, err := pki.NewCA("capstan", time.Now())
	if err != nil {
		return err
	}
	if l.manager, err = pki.NewManager(pki.ManagerOptions{Name: "manager", CA: ca, Now: time.Now}); err != nil {
		return err
	}
	if l.Client, err = l.Net.NewNode("client", clientAddress, Six(clientAddress)); err != nil {
		return err
	}
	// Each connection of a second is from a port of its own.
	if err := l.Client.Sysctl("net.ipv4.ip_local_port_range", "1024 65535"); err != nil {
		return err
	}
	if err := l.serve(ctx); err != nil {
		return err
	}
	for i := range vms {
		vm, err := l.newVM(i)
		if err != nil {
			return err
		}
		l.VMs = append(l.VMs, vm)
	}
	for _, vm := range l.VMs {
		if err := vm.enrol(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close takes everything away.
func (l *Lab) Close() error {
	l.stop()
	var errs []error
	for _, vm := range l.VMs {
		errs = append(errs, vm.HangUp())
	}
	if l.Net != nil {
		errs = append(errs, l.Net.Close())
	}
	return errors.Join(errs...)
}

// Apply gives the plan to the VMs, to all of them where none is named, and returns
// when it is in force on each. It has the next generation.
func (l *Lab) Apply(ctx context.Context, plan lbapi.Plan, to ...*VM) error {
	l.mu.Lock()
	l.generation++
	plan.Generation = l.generation
	l.mu.Unlock()
	if len(to) == 0 {
		to = l.VMs
	}
	errs := make([]error, len(to))
	var all sync.WaitGroup
	for i, vm := range to {
		all.Go(func() { _, errs[i] = vm.Apply(ctx, plan) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Holders are the VMs that have the address now.
func (l *Lab) Holders(address netip.Addr) ([]*VM, error) {
	var holders []*VM
	for _, vm := range l.VMs {
		holds, err := vm.Holds(address)
		if err != nil {
			return nil, err
		}
		if holds {
			holders = append(holders, vm)
		}
	}
	return holders, nil
}

// ErrNoHolder tells that an address was never held by exactly one VM.
var ErrNoHolder = errors.New("is not held by exactly one VM")

// Holder waits until exactly one VM holds the address, and returns it and the
// others.
func (l *Lab) Holder(ctx context.Context, address netip.Addr) (holder *VM, others []*VM, err error) {
	const often = 20 * time.Millisecond
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	for {
		holders, err := l.Holders(address)
		if err != nil {
			return nil, nil, err
		}
		if len(holders) == 1 {
			for _, vm := range l.VMs {
				if vm != holders[0] {
					others = append(others, vm)
				}
			}
			return holders[0], others, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("%s %w but by %d: %w", address, ErrNoHolder, len(holders), ctx.Err())
		case <-ticker.C:
		}
	}
}
