// Command fabric is the simulated physical world: Hyper-V hosts with volumes,
// switches, images and VMs, and the guests in them. It is for development.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/guests"
	"github.com/capstan-k8s/capstan/internal/fabric/hypervfake"
	"github.com/capstan-k8s/capstan/internal/fabric/lbvm"
)

const usage = `fabric runs a simulated physical world until it is interrupted.

Each host answers its agent on DIR/hosts/NAME.sock; auditors and chaos use
DIR/admin.sock (package internal/fabric/fabricapi has clients of both). The
state is in DIR: started there again, VMs that ran are power-cycled and come
back. Guests take their addresses out of 127.0.0.0/8.

With --keepalived load balancers are network namespaces, for which root, iproute2,
keepalived and HAProxy are needed, and the guests' networks are led to by one
device, capstan-PID. The kernel takes all of it away with the fabric, however that
ends.

With --hyperv hosts answer their agents by WMI, as hosts with Hyper-V do, and not as
the fabric does: a fake that knows Windows' schemas and refuses what they lack. The
agent's driver is then the one that ships. All hosts are in one failover cluster,
images are copied at once, and nothing is kept when the fabric ends.

Without --topology there are --hosts hosts hv1, hv2, ..., each with switch
vSwitch, in one failover cluster fc1 with four volumes csv1 to csv4; with
--stand-alone each host has four such volumes of its own. Node images of several
Kubernetes versions are published at \\images.example\capstan; see
--print-topology, whose output is also an example of a topology file.

usage: fabric --dir DIR [flags]

`

// version is what simulated load balancers say of themselves.
const version = "v0.0.0-simulated"

type config struct {
	dir           string
	hosts         int
	standAlone    bool
	topologyFile  string
	printTopology bool
	bootTime      time.Duration
	stopTime      time.Duration
	copyMiB       int64
	failoverDelay time.Duration
	hyperv        bool
	verbose       bool
	haproxy       string
	keepalived    string
	pprofAddress  string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "fabric:", err)
		os.Exit(1)
	}
}

func parse(args []string) (config, error) {
	var c config
	flags := flag.NewFlagSet("fabric", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&c.dir, "dir", "", "directory of sockets and state; its path must be short, as sockets' paths are")
	flags.IntVar(&c.hosts, "hosts", 3, "how many hosts there are")
	flags.BoolVar(&c.standAlone, "stand-alone", false, "hosts form no failover cluster")
	flags.StringVar(&c.topologyFile, "topology", "", "YAML file of hosts, failover clusters, volumes and images, in place of --hosts and --stand-alone")
	flags.BoolVar(&c.printTopology, "print-topology", false, "print the topology and exit")
	flags.DurationVar(&c.bootTime, "boot-time", 2*time.Second, "how long a guest takes to boot")
	flags.DurationVar(&c.stopTime, "stop-time", 500*time.Millisecond, "how long a guest takes to shut down")
	flags.Int64Var(&c.copyMiB, "copy-rate", 2048, "MiB per second at which images are copied; 0 for at once")
	flags.DurationVar(&c.failoverDelay, "failover-delay", 30*time.Second, "how long a failover cluster waits before it restarts the VMs of a lost host elsewhere")
	flags.BoolVar(&c.hyperv, "hyperv", false, "hosts have a fake Hyper-V, which their agents drive by WMI")
	flags.StringVar(&c.haproxy, "haproxy", "", "program of a real HAProxy that load balancers carry connections with, 'auto' for one that is installed; empty for a balancer in Go")
	flags.StringVar(&c.keepalived, "keepalived", keepalivedOff, "'on' has each load balancer be a network namespace, in which capstan-lb, keepalived and the HAProxy of --haproxy run as in a real one; 'auto' does so where it is possible; 'off' decides in this process who holds a VIP")
	flags.StringVar(&c.pprofAddress, "pprof-bind-address", "", "address of the profiles at /debug/pprof/")
	flags.BoolVar(&c.verbose, "v", false, "log what guests do")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	if c.haproxy == "auto" {
		// None is no error: the balancer in Go stands in.
		c.haproxy, _ = exec.LookPath("haproxy")
	}
	switch {
	case c.keepalived != keepalivedOff && c.keepalived != keepalivedOn && c.keepalived != keepalivedAuto:
		return config{}, fmt.Errorf("--keepalived is %q: it is 'on', 'auto' or 'off'", c.keepalived)
	case flags.NArg() > 0:
		return config{}, fmt.Errorf("unknown argument %q; see --help", flags.Arg(0))
	case c.dir == "" && !c.printTopology:
		return config{}, errors.New("--dir is needed; see --help")
	case c.hosts < 1:
		return config{}, fmt.Errorf("--hosts is %d: at least 1 is needed", c.hosts)
	case c.hyperv && c.standAlone:
		return config{}, errors.New("--hyperv has hosts in a failover cluster, and --stand-alone has none")
	case c.bootTime < 0 || c.stopTime < 0 || c.failoverDelay < 0 || c.copyMiB < 0:
		return config{}, errors.New("times and rates cannot be negative")
	}
	return c, nil
}

func (c config) topology() (fabric.Topology, error) {
	if c.topologyFile == "" {
		return fabric.DefaultTopology(c.hosts, c.standAlone), nil
	}
	data, err := os.ReadFile(c.topologyFile)
	if err != nil {
		return fabric.Topology{}, err
	}
	return fabric.ParseTopology(data)
}

func run(ctx context.Context, args []string) (err error) {
	c, err := parse(args)
	if err != nil {
		return err
	}
	topology, err := c.topology()
	if err != nil {
		return err
	}
	if c.printTopology {
		text, err := yaml.Marshal(topology)
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(text)
		return err
	}
	level := slog.LevelWarn
	if c.verbose {
		level = slog.LevelDebug
	}
	log := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})
	network, err := c.enterNetwork(slog.New(log))
	if err != nil {
		return err
	}
	if network != nil {
		defer func() { err = errors.Join(err, network.Close()) }()
	}
	world, err := c.world(topology, logr.FromSlogHandler(log), network)
	if err != nil {
		return err
	}
	if c.pprofAddress != "" {
		if err := serveProfiles(ctx, c.pprofAddress); err != nil {
			return err
		}
	}
	var names []string
	for _, h := range topology.Hosts {
		names = append(names, h.Name)
	}
	served := world.Serve(ctx, func() {
		fmt.Printf("fabric is up: %s; admin socket %s\n", strings.Join(names, " "), fabric.AdminSocket(c.dir))
	})
	return errors.Join(served, world.Close())
}

// physical is a world that is served on its sockets.
type physical interface {
	Serve(ctx context.Context, ready func()) error
	Close() error
}

// world has hosts of the fabric's own kind, or hosts with a fake Hyper-V.
func (c config) world(topology fabric.Topology, log logr.Logger, network *lbvm.Network) (physical, error) {
	runtime := guests.New(guests.Options{Clock: clock.RealClock{}, Log: log, Version: version, HAProxy: c.haproxy, Network: network})
	if c.hyperv {
		return hypervfake.New(hypervfake.Options{
			Dir: c.dir, Topology: topology, Clock: clock.RealClock{}, Guests: runtime, Log: slog.New(logr.ToSlogHandler(log)),
			BootTime: c.bootTime, StopTime: c.stopTime, FailoverDelay: c.failoverDelay,
		})
	}
	return fabric.New(fabric.Options{
		Dir: c.dir, Topology: topology, Clock: clock.RealClock{}, Guests: runtime,
		BootTime: c.bootTime, StopTime: c.stopTime, FailoverDelay: c.failoverDelay, CopyBytesPerSecond: c.copyMiB << 20,
	})
}
