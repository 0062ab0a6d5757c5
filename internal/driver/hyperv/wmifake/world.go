package wmifake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// Reporter is told of calls that no host could carry out. A testing.TB is one.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// Options are what a world begins with.
type Options struct {
	// Nodes are the names of the hosts.
	Nodes []string
	// Cluster is the name of their failover cluster. Without one there is one node, and it stands alone.
	Cluster string
	// Volumes are roots of volumes: C:\ClusterStorage\csv1, or drives of a host that stands alone.
	Volumes  []string
	Switches []string
	// Processors and MemoryMiB are what each node has.
	Processors, MemoryMiB, VolumeBytes int64
	// Version is what hosts say that theirs of Windows is, by default that of Windows Server 2022.
	Version string
	// Recorder, if set, is told of every call.
	Recorder *Recorder
	// Guests, if set, are what is inside of VMs. Without them a guest does what the test says, and stops at once.
	Guests Guests
	// Measure tells how large the virtual disk in a file of this content is, 0 for none. By default it knows what Image
	// makes.
	Measure func(content []byte) int64
}

// World is hosts, their volumes, and the failover cluster that they may be in.
type World struct {
	reporter Reporter
	options  Options

	mu      sync.Mutex
	hosts   []*host
	cluster *cluster
	disk    *disk
	jobs    map[*object]*job
	faults  []*Fault
	// made counts what gets a name of its own.
	made int
	// trouble is what befalls jobs that begin now.
	trouble JobTrouble
	// looked forgets the jobs whose end could be seen, oldest first.
	looked []func()
	// after is what is done once the world is unlocked, before the call is answered.
	after []func()
}

// host is a node.
type host struct {
	graph
	name     string
	boots    int
	down     bool
	isolated bool
	vms      []*vm
}

// New makes a world. All of its hosts are up.
func New(reporter Reporter, options Options) *World {
	w := &World{reporter: reporter, options: options, jobs: map[*object]*job{}}
	w.disk = &disk{world: w, files: map[string]*file{}}
	for _, root := range options.Volumes {
		w.disk.volumes = append(w.disk.volumes, &volume{root: root, bytes: options.VolumeBytes})
	}
	for _, name := range options.Nodes {
		h := &host{name: name, graph: graph{host: name}}
		w.hosts = append(w.hosts, h)
		w.furnish(h)
	}
	if options.Cluster != "" {
		w.cluster = newCluster(w)
	}
	return w
}

// furnish gives a host what Windows has.
func (w *World) furnish(h *host) {
	h.add(wmi.CIMv2, "Win32_ComputerSystem", "computer", map[string]any{
		"Name": h.name, "Domain": "example.org", "NumberOfLogicalProcessors": w.options.Processors,
		"TotalPhysicalMemory": w.options.MemoryMiB << 20,
	})
	h.add(wmi.CIMv2, "Win32_OperatingSystem", "", map[string]any{"Version": cmp.Or(w.options.Version, "10.0.20348"), "FreePhysicalMemory": w.options.MemoryMiB << 10})
	h.add(wmi.CIMv2, "Win32_Process", "408", map[string]any{"Name": "wininit.exe"})
	h.add(wmi.Virtualization, "Msvm_VirtualSystemManagementService", "vmms", nil)
	h.add(wmi.Virtualization, "Msvm_ImageManagementService", "ims", nil)
	// The host itself is a computer system, too.
	h.add(wmi.Virtualization, "Msvm_ComputerSystem", h.name, map[string]any{"Name": h.name, "ElementName": h.name, "EnabledState": int64(2)})
	for _, name := range w.options.Switches {
		h.add(wmi.Virtualization, "Msvm_VirtualEthernetSwitch", "switch-"+name, map[string]any{"ElementName": name, "Name": "switch-" + name})
	}
	if w.options.Cluster == "" {
		for _, v := range w.disk.volumes {
			h.add(wmi.CIMv2, "Win32_Volume", v.root, map[string]any{"Name": v.root, "Capacity": v.bytes})
		}
	}
	w.boot(h)
}

// boot lets the time of a host's start be another one.
func (w *World) boot(h *host) {
	h.boots++
	h.of("Win32_Process")[0].set("CreationDate", fmt.Sprintf("20261121%02d0000.000000+000", h.boots))
}

// pass lets an object be as it is by now.
func (w *World) pass(o *object) {
	switch {
	case o.namespace == wmi.Cluster:
		w.cluster.pass(w, o)
	case o.class.Is("Win32_Volume"):
		o.set("FreeSpace", w.disk.volume(o.text("Name")).free(w.disk))
	case o.class.Is("Win32_OperatingSystem"):
		for _, h := range w.hosts {
			if h.find(o.path) == o {
				o.set("FreePhysicalMemory", h.free(w)<<10)
			}
		}
	case o.class.Is("CIM_SettingData"):
		// What was set stays.
	default:
		if _, v := w.find(o); v != nil {
			v.pass(w)
		}
	}
}

// free is how much memory VMs with power have left.
func (h *host) free(w *World) int64 {
	free := w.options.MemoryMiB
	for _, v := range h.vms {
		if v.on() {
			free -= v.memoryMiB()
		}
	}
	return free
}

func (w *World) name(kind string) string {
	w.made++
	return fmt.Sprintf("%s-%08d", kind, w.made)
}

func (w *World) then(f func()) { w.after = append(w.after, f) }

// unlock ends a call that may have taken a guest's power: nobody hears of that before the guest is gone.
func (w *World) unlock() {
	after := w.after
	w.after = nil
	w.mu.Unlock()
	for _, f := range after {
		f()
	}
}

func (w *World) node(name string) *host {
	for _, h := range w.hosts {
		if strings.EqualFold(h.name, name) {
			return h
		}
	}
	return nil
}

// Fault is an error that a call gets, instead of its effect or after it.
type Fault struct {
	// Class and Method say which calls: Query, Get, Put_, SpawnInstance_, GetText_ and "Associators <class>" are methods, too.
	Class, Method string
	// After lets the call take effect first.
	After bool
	Code  uint32
	// Times is how often.
	Times int
}

// Inject puts a fault into the world.
func (w *World) Inject(f Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, &f)
}

func (w *World) fault(class, method string, after bool) error {
	for _, f := range w.faults {
		if f.Times > 0 && f.After == after && strings.EqualFold(f.Class, class) && f.Method == method {
			f.Times--
			return &wmi.Error{Doing: "call " + method + " of " + class, Code: f.Code}
		}
	}
	return nil
}

// Client is what one process of a driver on a host sees of the world.
type Client struct {
	world *World
	host  *host
	// left is how many calls take effect until the process is dead, -1 for all.
	left  int
	calls int
	cut   bool
	trip  *trip
}

// trip is a call that fails, counted from the first.
type trip struct {
	at    int
	after bool
	code  uint32
}

// Trip lets the call of a number fail: before its effect, or after it. A call to the file system fails before, as if
// the volume were away for a moment. It returns after the one failure.
func (c *Client) Trip(at int, after bool, code uint32) {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	c.calls, c.trip = 0, &trip{at, after, code}
}

// tripped tells whether the call that is under way is to fail.
func (c *Client) tripped(after bool) bool {
	if c.trip == nil || c.trip.at != c.calls-1 || c.trip.after != after {
		return false
	}
	return true
}

var _ wmi.Dialer = (*Client)(nil)

// Client returns a new process on a host.
func (w *World) Client(node string) *Client { return &Client{world: w, host: w.node(node), left: -1} }

// errKilled is what a process is told of that nobody hears any more.
var errKilled = errors.New("the process was killed")

// CrashAfter lets so many more calls take effect. Then the process is dead.
func (c *Client) CrashAfter(n int) {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	c.left = n
}

// Count is how many calls the process has made.
func (c *Client) Count() int {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	return c.calls
}

// SetReachable lets the host not answer the process, or answer again.
func (c *Client) SetReachable(reachable bool) {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	c.cut = !reachable
}

// step counts a call.
func (c *Client) step() error {
	c.calls++
	if c.left == 0 {
		return errKilled
	}
	if c.left > 0 {
		c.left--
	}
	return nil
}

// call begins a call of WMI's.
func (c *Client) call(ctx context.Context, class, method string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("call %s of %s: %w", method, class, err)
	}
	if err := c.step(); err != nil {
		return err
	}
	if c.tripped(false) {
		return &wmi.Error{Doing: "call " + method + " of " + class, Code: c.trip.code}
	}
	return c.world.fault(class, method, false)
}

func (c *Client) after(class, method string) error {
	if c.tripped(true) {
		return &wmi.Error{Doing: "call " + method + " of " + class, Code: c.trip.code}
	}
	return c.world.fault(class, method, true)
}

// Dial implements wmi.Dialer.
func (c *Client) Dial(ctx context.Context, node string) (wmi.Session, error) {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	to := c.host
	if node != "" {
		to = c.world.node(node)
	}
	if to == nil {
		return nil, &wmi.Error{Doing: "connect to " + node, Code: wmi.CodeServerUnavailable}
	}
	return &session{client: c, to: to}, ctx.Err()
}

// Reset forgets how many calls the process has made.
func (c *Client) Reset() {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	c.calls = 0
}
