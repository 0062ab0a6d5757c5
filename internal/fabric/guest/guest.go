package guest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/fabric/guest/seed"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Guest is a guest that is powered on.
type Guest struct {
	runtime *Runtime
	machine Machine
	disk    disk
	system  system
	console console
	// first is what the program that reads the seed says at a first boot.
	first  firstBoot
	cancel context.CancelFunc
	done   chan struct{}
	// own is the address that the machine dials from, once it has one.
	own    atomic.Pointer[net.IP]
	socket socket
	// vote is set while the machine runs a member of etcd.
	vote atomic.Pointer[vote]
}

// Stop takes the power away. When it returns, nothing of the guest is left but
// its disk, and its addresses are free.
func (g *Guest) Stop() {
	g.console.close()
	g.cancel()
	<-g.done
}

// memory is what a guest keeps of its first boot, in the file stateFile of its
// disk: enough to come up without its seed.
type memory struct {
	InstanceID string
	Hostname   string
	NICs       []seed.NIC
	Config     seed.Config
	// Node is the state of kubeadm's and the kubelet's work.
	Node nodeState
}

const stateFile = "guest.json"

// failure is an error that trying again does not mend.
type failure struct{ err error }

func (f failure) Error() string { return f.err.Error() }
func (f failure) Unwrap() error { return f.err }

// run is the life of a guest from power on to power off.
func (g *Guest) run(ctx context.Context) {
	g.disk = disk(g.machine.DiskDir)
	err := g.boot(ctx)
	if err == nil || ctx.Err() != nil {
		return
	}
	g.fail(err)
	<-ctx.Done()
}

func (g *Guest) boot(ctx context.Context) error {
	if g.machine.DiskDir == "" {
		return errors.New("no bootable disk")
	}
	var err error
	if g.system, err = systemOf(g.machine.OS); err != nil {
		return err
	}
	if err := os.MkdirAll(g.machine.DiskDir, 0o700); err != nil {
		return fmt.Errorf("open the disk: %w", err)
	}
	g.first = g.system.first(g)
	mem, err := g.initialise()
	if err != nil {
		return fmt.Errorf("%s: %w", g.system.init, err)
	}
	// What is wrong with the commands of a seed shows once they run.
	todo, unfit := g.system.plan(mem)
	if g.machine.Fault == fabricapi.ImageNoNetwork {
		g.unitFails("systemd-networkd.service", "Network Configuration")
		<-ctx.Done()
		return nil
	}
	if todo.manual && mem.Node.Joined {
		return errors.New("kubelet: the service is not set to start with the machine")
	}
	if todo.role != roleLoadBalancer {
		unplug, err := g.attach(ctx, "network", func(context.Context) (Cable, error) { return g.runtime.Plug(mem.NICs) })
		if err != nil {
			return err
		}
		defer unplug()
	}
	g.bringUpNetwork(mem)
	if !mem.Node.Joined {
		g.first.runs(mem)
	}
	switch {
	case unfit != nil:
		return g.runCommands(ctx, todo, unfit, mem)
	case todo.role == roleLoadBalancer:
		return g.runLoadBalancer(ctx, todo.lb, mem)
	case todo.role == roleNone:
		g.console.change(running, "%s: finished, the seed asks for nothing more", g.system.init)
		g.first.ends()
		<-ctx.Done()
		return nil
	default:
		return g.runCommands(ctx, todo, nil, mem)
	}
}

// initialise is the decision of cloud-init, or its like, whether this is a new
// machine. Without a seed, or with the one it knows, the machine is what it was.
func (g *Guest) initialise() (*memory, error) {
	var mem memory
	known, err := g.disk.read(stateFile, &mem)
	if err != nil {
		return nil, err
	}
	if len(g.machine.Seed) == 0 {
		if !known {
			return nil, errors.New("no data source: there is no disk labelled cidata, and this machine was never initialised")
		}
		if err := g.system.unseeded(&mem); err != nil {
			return nil, err
		}
		g.console.line("%s: no data source, keeping instance %s", g.system.init, mem.InstanceID)
		return &mem, nil
	}
	s, err := g.system.read(g.machine.Seed, g.machine.MACs)
	if err != nil {
		return nil, err
	}
	if known && s.InstanceID == mem.InstanceID {
		g.console.line("%s: instance %s again", g.system.init, mem.InstanceID)
		return &mem, nil
	}
	if known {
		return nil, fmt.Errorf("this disk belongs to instance %s, not %s: kubeadm would find its files in the way", mem.InstanceID, s.InstanceID)
	}
	for _, w := range s.Warnings {
		g.console.line("%s: warning: %s", g.system.init, w)
	}
	mem = memory{InstanceID: s.InstanceID, Hostname: s.Hostname, NICs: s.NICs, Config: s.Config}
	if _, unfit := g.system.plan(&mem); unfit == nil {
		if err := g.disk.write(stateFile, mem); err != nil {
			return nil, err
		}
	}
	g.console.line("%s: new instance %s, host name %s", g.system.init, mem.InstanceID, mem.Hostname)
	return &mem, nil
}

func (g *Guest) bringUpNetwork(mem *memory) {
	addresses := map[string][]string{}
	var all []string
	for _, nic := range mem.NICs {
		for _, p := range nic.Addresses {
			addresses[nic.MAC] = append(addresses[nic.MAC], p.Addr().String())
			all = append(all, p.String())
		}
	}
	own := net.IP(mem.address().AsSlice())
	g.own.Store(&own)
	g.console.change(func(r *Report) { r.Phase, r.Addresses = PhaseInitialising, addresses }, "network: %s", strings.Join(all, ", "))
}

// address is the machine's own address, by which others know it.
func (m *memory) address() netip.Addr { return m.NICs[0].Addresses[0].Addr() }

func running(r *Report) { r.Phase, r.Ready = PhaseRunning, true }

// retry does something until it succeeds, the guest loses its power, or it fails
// for good.
func (g *Guest) retry(ctx context.Context, what string, do func(ctx context.Context) error) error {
	for {
		err := do(ctx)
		var final failure
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &final):
			return fmt.Errorf("%s: %w", what, err)
		}
		g.console.line("%s: %s; trying again", what, err)
		timer := g.runtime.Clock.NewTimer(g.runtime.Retry)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C():
		}
	}
}

// runLoadBalancer hands the machine to whoever simulates load balancers.
func (g *Guest) runLoadBalancer(ctx context.Context, config lbapi.LBConfig, mem *memory) error {
	listen, err := netip.ParseAddrPort(config.Listen)
	if err != nil {
		return fmt.Errorf("capstan-lb: listen: %w", err)
	}
	if !mem.owns(listen.Addr()) {
		return fmt.Errorf("capstan-lb: listen: %s is not an address of this machine", listen.Addr())
	}
	if g.runtime.LoadBalancer == nil {
		return errors.New("capstan-lb: the program is not in this image")
	}
	stop, err := g.attach(ctx, "capstan-lb", func(ctx context.Context) (Cable, error) {
		return g.runtime.LoadBalancer(ctx, g.machine, mem.NICs, config)
	})
	if err != nil {
		return err
	}
	defer stop()
	g.console.change(running, "capstan-lb: listening on %s", listen)
	g.first.ends()
	<-ctx.Done()
	return nil
}

func (m *memory) owns(a netip.Addr) bool {
	if a.IsUnspecified() {
		return true
	}
	for _, nic := range m.NICs {
		for _, p := range nic.Addresses {
			if p.Addr() == a {
				return true
			}
		}
	}
	return false
}
