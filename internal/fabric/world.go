package fabric

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/fabric/store"
)

// Options are what a World needs. Zero times mean at once.
type Options struct {
	// Dir holds the state.
	Dir      string
	Topology Topology
	Clock    clock.WithDelayedExecution
	Guests   GuestRuntime
	// BootTime is how long a guest takes until its integration services answer,
	// StopTime how long it takes to shut down.
	BootTime time.Duration
	StopTime time.Duration
	// CopyBytesPerSecond is how fast images are copied, 0 for at once.
	CopyBytesPerSecond int64
	// FailoverDelay is how long a failover cluster waits for a lost node before it
	// restarts the node's VMs elsewhere.
	FailoverDelay time.Duration
	// NewID makes identities; random UUIDs if nil.
	NewID func() string
}

// World is the simulated physical world.
type World struct {
	Options
	store *store.Store
	// done is closed when the world ends.
	done chan struct{}
	// timers are the goroutines that wait for the clock.
	timers sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{}
	closed  bool
	hosts   map[string]*host
	sites   map[string]*site
	images  map[string]fabricapi.PublishedImage
	// copying are the files that a copy has open.
	copying map[string]bool
	// injections are what befalls calls to come, in order.
	injections []*injection
	deeds      deeds
}

// host is a host and how it is.
type host struct {
	HostSpec
	hostRecord
	site *site
	// frozen is closed when the host answers again; nil while it answers.
	frozen   chan struct{}
	isolated bool
	// unplugged hosts have VMs without a network.
	unplugged bool
}

// site is a failover cluster, or a stand-alone host.
type site struct {
	name    string
	cluster bool
	hosts   []*host
	volumes map[string]*volume
	vms     map[string]*vm
	roles   map[string]*fabricapi.Role
}

// volume is a volume and what is on it.
type volume struct {
	volumeRecord
	name  string
	site  *site
	bytes int64
	files map[string]*fabricapi.File
}

// New opens the world in a directory and boots what ran when it was closed.
func New(opts Options) (*World, error) {
	if err := opts.Topology.validate(); err != nil {
		return nil, err
	}
	if InUse(opts.Dir) {
		return nil, fmt.Errorf("another fabric runs in %s", opts.Dir)
	}
	if opts.NewID == nil {
		opts.NewID = uuid.NewString
	}
	st, err := store.Open(filepath.Join(opts.Dir, "state"))
	if err != nil {
		return nil, err
	}
	w := &World{
		Options: opts, store: st, done: make(chan struct{}), changed: make(chan struct{}),
		hosts: map[string]*host{}, sites: map[string]*site{},
		images: map[string]fabricapi.PublishedImage{}, copying: map[string]bool{},
	}
	w.build()
	if err := w.load(); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	if err := w.update(w.resume); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *World) build() {
	clustered := map[string]bool{}
	newSite := func(name string, cluster bool, volumes []VolumeSpec) *site {
		s := &site{
			name: name, cluster: cluster, volumes: map[string]*volume{},
			vms: map[string]*vm{}, roles: map[string]*fabricapi.Role{},
		}
		for _, v := range volumes {
			s.volumes[v.Name] = &volume{name: v.Name, site: s, bytes: v.SizeGiB * gib, files: map[string]*fabricapi.File{}}
		}
		w.sites[name] = s
		return s
	}
	for _, c := range w.Topology.FailoverClusters {
		s := newSite(c.Name, true, c.Volumes)
		for _, name := range c.Hosts {
			clustered[name] = true
			i := slices.IndexFunc(w.Topology.Hosts, func(h HostSpec) bool { return h.Name == name })
			s.hosts = append(s.hosts, &host{HostSpec: w.Topology.Hosts[i], site: s})
		}
	}
	for _, h := range w.Topology.Hosts {
		if !clustered[h.Name] {
			s := newSite(h.Name, false, h.Volumes)
			s.hosts = []*host{{HostSpec: h, site: s}}
		}
	}
	for _, s := range w.sites {
		for _, h := range s.hosts {
			w.hosts[h.Name] = h
		}
	}
}

// Close stops every guest and ends writing. VMs stay as they are on disk.
func (w *World) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	t := &tx{}
	for _, s := range w.sites {
		for _, v := range s.vms {
			w.haltGuest(t, v)
		}
	}
	w.mu.Unlock()
	close(w.done)
	t.finish()
	w.timers.Wait()
	return w.store.Close()
}

// errClosed is the answer of a world that is no more.
var errClosed = fmt.Errorf("the fabric is closed: %w", fabricapi.ErrUnreachable)

// update changes the world: either all of f's changes happen, or f returned an
// error before it made any.
func (w *World) update(f func(*tx) error) error {
	t := &tx{}
	if err := w.locked(func() error {
		if err := f(t); err != nil {
			return err
		}
		if err := w.store.Commit(&t.Tx); err != nil {
			return err
		}
		close(w.changed)
		w.changed = make(chan struct{})
		return nil
	}); err != nil {
		return err
	}
	t.finish()
	return nil
}

// locked reads the world.
func (w *World) locked(f func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	return f()
}

// await returns once f is true of the world, or why it gave up.
func (w *World) await(ctx context.Context, timeout time.Duration, f func() (bool, error)) error {
	timer := w.Clock.NewTimer(timeout)
	defer timer.Stop()
	for {
		var done bool
		var changed chan struct{}
		if err := w.locked(func() (err error) {
			changed = w.changed
			done, err = f()
			return err
		}); err != nil || done {
			return err
		}
		select {
		case <-changed:
		case <-timer.C():
			return fabricapi.Refuse(fabricapi.TimedOut, "", "it did not happen within %s", timeout)
		case <-ctx.Done():
			return ctx.Err()
		case <-w.done:
			return errClosed
		}
	}
}

// later runs f after a while, in a goroutine of its own. The world is locked.
func (w *World) later(d time.Duration, f func()) {
	if w.closed {
		return
	}
	w.timers.Add(1)
	timer := w.Clock.NewTimer(max(d, 0))
	go func() {
		defer w.timers.Done()
		defer timer.Stop()
		if d > 0 {
			select {
			case <-timer.C():
			case <-w.done:
				return
			}
		}
		f()
	}()
}
