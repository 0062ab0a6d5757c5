package hypervfake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmifake"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmiremote"
	"github.com/capstan-k8s/capstan/internal/fabric"
)

// Options are what a World needs. Zero times mean at once.
type Options struct {
	// Dir holds sockets, and what guests write to their disks.
	Dir string
	// Topology is one failover cluster of hosts that are alike.
	Topology fabric.Topology
	Clock    clock.WithDelayedExecution
	Guests   fabric.GuestRuntime
	Log      *slog.Logger
	// BootTime is how long a guest takes until its integration services answer,
	// StopTime how long it takes to shut down.
	BootTime, StopTime time.Duration
	// FailoverDelay is how long the failover cluster waits for a lost node before it
	// restarts the node's VMs elsewhere.
	FailoverDelay time.Duration
}

// World is hosts with a fake Hyper-V.
type World struct {
	Options
	hyperv  *wmifake.World
	library library
	guests  *guests

	mu sync.Mutex
	// complaints are calls of a driver that no host could carry out.
	complaints []string
	// losses counts the times at which a host lost its power, so that the failover cluster waits
	// for each of them anew.
	losses map[string]int
	// down are the hosts without power.
	down map[string]bool
	// waiting are the failover cluster's waits.
	waiting sync.WaitGroup
	done    chan struct{}
}

// contentFolder is where guests write to their disks.
const contentFolder = "content"

// New makes a world in which all hosts are up and nothing is on them.
func New(opts Options) (*World, error) {
	alike, err := uniform(opts.Topology)
	if err != nil {
		return nil, err
	}
	if fabric.InUse(opts.Dir) {
		return nil, fmt.Errorf("another fabric runs in %s", opts.Dir)
	}
	content := filepath.Join(opts.Dir, contentFolder)
	// The disks of an earlier world are nobody's any more.
	if err := os.RemoveAll(content); err != nil {
		return nil, fmt.Errorf("clear the disks of an earlier world: %w", err)
	}
	w := &World{Options: opts, losses: map[string]int{}, down: map[string]bool{}, done: make(chan struct{})}
	if w.library, err = newLibrary(opts.Topology.Images); err != nil {
		return nil, err
	}
	w.guests = newGuests(opts, w.library, content)
	alike.Guests, alike.Measure, alike.Version = w.guests, w.library.measure, version
	w.hyperv = wmifake.New(complaints{w}, alike)
	return w, nil
}

// version is what hosts say that they run.
const version = "10.0.20348 (fake)"

// volumeRoot is where cluster shared volumes are on every node.
const volumeRoot = `C:\ClusterStorage\`

// uniform is a topology as the fake has hosts.
func uniform(t fabric.Topology) (wmifake.Options, error) {
	var out wmifake.Options
	if len(t.FailoverClusters) != 1 || len(t.FailoverClusters[0].Hosts) != len(t.Hosts) || len(t.FailoverClusters[0].Volumes) == 0 {
		return out, errors.New("hosts with a fake Hyper-V are in one failover cluster, which has volumes")
	}
	cluster, first := t.FailoverClusters[0], t.Hosts[0]
	for _, h := range t.Hosts {
		if h.Processors != first.Processors || h.MemoryMiB != first.MemoryMiB || h.ReserveMiB != first.ReserveMiB || fmt.Sprint(h.Switches) != fmt.Sprint(first.Switches) {
			return out, fmt.Errorf("hosts with a fake Hyper-V are alike, and %s is not like %s", h.Name, first.Name)
		}
		out.Nodes = append(out.Nodes, h.Name)
	}
	for _, v := range cluster.Volumes {
		if v.SizeGiB != cluster.Volumes[0].SizeGiB {
			return out, fmt.Errorf("volumes of a fake Hyper-V are alike, and %s is not like %s", v.Name, cluster.Volumes[0].Name)
		}
		out.Volumes = append(out.Volumes, volumeRoot+v.Name)
	}
	out.Cluster, out.Switches, out.VolumeBytes = cluster.Name, first.Switches, cluster.Volumes[0].SizeGiB<<30
	out.Processors, out.MemoryMiB = int64(first.Processors), first.MemoryMiB-first.ReserveMiB
	return out, nil
}

// complaints takes what the strict fake has against a driver.
type complaints struct{ *World }

// Helper implements wmifake.Reporter.
func (complaints) Helper() {}

// Errorf implements wmifake.Reporter.
func (c complaints) Errorf(format string, args ...any) {
	said := fmt.Sprintf(format, args...)
	c.Log.Error("the driver asks for what no host could do", "call", said)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complaints = append(c.complaints, said)
}

// Serve listens on the sockets of all hosts and on the admin socket. It calls ready
// when all answer, and returns once ctx has ended.
func (w *World) Serve(ctx context.Context, ready func()) error {
	handlers := map[string]http.Handler{fabric.AdminSocket(w.Dir): fabric.OverseerHandler(w)}
	for _, h := range w.Topology.Hosts {
		handlers[fabric.HostSocket(w.Dir, h.Name)] = w.handler(h.Name)
	}
	return fabric.ServeSockets(ctx, handlers, ready)
}

// handler serves the programs on a host.
func (w *World) handler(host string) http.Handler {
	client := w.hyperv.Client(host)
	serve := wmiremote.Handler(wmiremote.Host{WMI: client, Files: client.Files(), Sources: w.library})
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.isDown(host) {
			// No answer at all: nothing runs there that could give one.
			panic(http.ErrAbortHandler)
		}
		serve.ServeHTTP(rw, r)
	})
}

// Close stops every guest.
func (w *World) Close() error {
	close(w.done)
	w.waiting.Wait()
	w.guests.close()
	return nil
}
