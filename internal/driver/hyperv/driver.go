package hyperv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Name is what agents say that their driver is.
const Name = "hyperv"

// Options are what a driver needs.
type Options struct {
	// Host is the host's own name.
	Host string
	// StateDir is a folder of the host's own. A host that stands alone keeps its claims there.
	StateDir string
	// Volumes are the folders that a host that stands alone offers as volumes, by name. In a failover cluster the
	// cluster shared volumes are the volumes.
	Volumes map[string]string
	WMI     wmi.Dialer
	Files   hostfs.Files
	// Sources are where images come from.
	Sources Sources
	// Pause returns after the time between two looks at something that goes on, or with the context's error. By default
	// that is a quarter of a second.
	Pause func(context.Context) error
	// Piece is how much of an image is copied at once, 4 MiB by default.
	Piece int
	// Logger is told what nobody asked for.
	Logger *slog.Logger
}

// Driver is a hostapi.Driver of a host with Hyper-V.
type Driver struct {
	Options
	// cluster tells whether the host is in a failover cluster. It is found out once: a cluster that cannot be
	// asked must never read as none.
	cluster bool
	claims  claims

	mu    sync.Mutex
	nodes map[string]*node
}

var _ hostapi.Driver = (*Driver)(nil)

// node is a host that the driver speaks to.
type node struct {
	name string
	wmi.Runner
}

// New returns the driver of this host.
func New(ctx context.Context, options Options) (*Driver, error) {
	d := &Driver{Options: options, nodes: map[string]*node{}}
	if d.Pause == nil {
		d.Pause = pause
	}
	if d.Piece == 0 {
		d.Piece = 4 << 20
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	own, err := d.node(ctx, d.Host)
	if err != nil {
		return nil, fmt.Errorf("connect to WMI: %w", err)
	}
	found, err := own.Query(ctx, wmi.Query{Namespace: wmi.Cluster, Class: "MSCluster_Cluster", Properties: []string{"Name"}})
	// A host that has no cluster's software has no such namespace.
	if err != nil && wmi.CodeOf(err) != wmi.CodeInvalidNamespace {
		return nil, errors.Join(fmt.Errorf("find out whether the host is in a failover cluster: %w", err), d.Close())
	}
	d.cluster = len(found) > 0
	if !d.cluster && len(d.Volumes) == 0 {
		return nil, errors.Join(errors.New("the host is in no failover cluster, so it must be told which folders are its volumes"), d.Close())
	}
	if d.cluster {
		// The cluster knows its nodes by their short names.
		computer, err := own.only(ctx, wmi.CIMv2, "Win32_ComputerSystem", "Name")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("find out what the host is called: %w", err), d.Close())
		}
		clear(d.nodes)
		d.Host = computer.String("Name")
		own.name, d.nodes[d.Host] = d.Host, own
		d.claims = clusterClaims{own}
	} else {
		d.claims = fileClaims{d.Files, join(d.StateDir, "claims")}
	}
	return d, nil
}

func pause(ctx context.Context) error {
	timer := time.NewTimer(250 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the driver's connections.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.nodes {
		n.Session.Close()
	}
	clear(d.nodes)
	return nil
}

// node returns the connection to a host. It heals by itself.
func (d *Driver) node(ctx context.Context, name string) (*node, error) {
	if strings.EqualFold(name, d.Host) {
		name = d.Host
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, ok := d.nodes[name]; ok {
		return n, nil
	}
	address := name
	if name == d.Host {
		address = ""
	}
	session, err := d.WMI.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	n := &node{name: name, Runner: wmi.Runner{Session: session, Wait: d.Pause}}
	d.nodes[name] = n
	return n, nil
}

// only returns the one instance of a class.
func (n *node) only(ctx context.Context, namespace, class string, properties ...string) (wmi.Instance, error) {
	found, err := n.Query(ctx, wmi.Query{Namespace: namespace, Class: class, Properties: properties})
	if err == nil && len(found) == 0 {
		err = &wmi.Error{Doing: "find the " + class + " of host " + n.name, Code: wmi.CodeProviderFailure}
	}
	if err != nil {
		return wmi.Instance{}, err
	}
	return found[0], nil
}

// GetVM implements hostapi.Driver.
func (d *Driver) GetVM(ctx context.Context, id hostapi.VMID) (hostapi.VM, error) {
	return d.get(ctx, "GetVM", id)
}

func (d *Driver) get(ctx context.Context, op string, id hostapi.VMID) (hostapi.VM, error) {
	p, err := d.parts(ctx, op, id)
	if err != nil {
		return hostapi.VM{}, err
	}
	if p.none() {
		return hostapi.VM{}, hostapi.NoVM(op, id)
	}
	if err := p.checkNode(op); err != nil {
		return hostapi.VM{}, err
	}
	return d.describe(ctx, op, p)
}
