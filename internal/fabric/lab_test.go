package fabric_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

const (
	bootTime      = 2 * time.Second
	stopTime      = time.Second
	failoverDelay = 30 * time.Second
	mib           = int64(1) << 20
	gib           = int64(1) << 30
)

var ctx = context.Background()

// guests is a guest runtime that records what it is told.
type guests struct {
	mu      sync.Mutex
	log     []string
	booted  []fabric.Machine
	running map[string]int
	report  map[string]func(fabric.Report)
}

type guest struct {
	of   *guests
	name string
}

func (g *guests) Start(_ context.Context, m fabric.Machine, report func(fabric.Report)) (fabric.Guest, error) {
	g.mu.Lock()
	g.log = append(g.log, "start "+m.Name)
	g.booted = append(g.booted, m)
	g.running[m.Name]++
	g.report[m.Name] = report
	g.mu.Unlock()
	addresses := map[string][]string{}
	for _, mac := range m.MACs {
		addresses[mac] = []string{"127.64.0.10"}
	}
	report(fabric.Report{Addresses: addresses, Console: []string{"hello from " + m.Name}})
	return guest{g, m.Name}, nil
}

func (g guest) Stop() {
	g.of.mu.Lock()
	defer g.of.mu.Unlock()
	g.of.log = append(g.of.log, "stop "+g.name)
	g.of.running[g.name]--
}

func (g guest) Link(up bool) error {
	g.of.mu.Lock()
	defer g.of.mu.Unlock()
	g.of.log = append(g.of.log, fmt.Sprintf("link %s %t", g.name, up))
	return nil
}

func (g *guests) lines() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.log...)
}

// lab is a world with a fake clock.
type lab struct {
	*GomegaWithT
	*fabric.World
	t      *testing.T
	opts   fabric.Options
	clock  *clocktesting.FakeClock
	guests *guests
}

func newLab(t *testing.T, topology fabric.Topology) *lab {
	t.Helper()
	l := &lab{
		GomegaWithT: NewWithT(t), t: t, clock: clocktesting.NewFakeClock(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)),
		guests: &guests{running: map[string]int{}, report: map[string]func(fabric.Report){}},
	}
	l.opts = fabric.Options{
		Dir: t.TempDir(), Topology: topology, Clock: l.clock, Guests: l.guests,
		BootTime: bootTime, StopTime: stopTime, FailoverDelay: failoverDelay,
	}
	l.open()
	t.Cleanup(func() { _ = l.World.Close() })
	return l
}

func (l *lab) open() {
	l.t.Helper()
	var err error
	l.World, err = fabric.New(l.opts)
	l.Expect(err).NotTo(HaveOccurred())
}

// restart is the fabric's process killed and started again.
func (l *lab) restart() {
	l.t.Helper()
	l.Expect(l.World.Close()).To(Succeed())
	l.open()
}

func cluster() fabric.Topology { return fabric.DefaultTopology(3, false) }

func standAlone() fabric.Topology { return fabric.DefaultTopology(2, true) }

func refused(code fabricapi.Code) OmegaMatcher {
	return WithTransform(fabricapi.CodeOf, Equal(code))
}

// vm makes a VM with a boot disk and a NIC on a host.
func (l *lab) vm(host, name string) fabricapi.VM {
	l.t.Helper()
	h := l.Host(host)
	stamp := &fabricapi.Stamp{Installation: "here", ID: name}
	v, err := h.DefineVM(ctx, fabricapi.DefineVMRequest{
		Name: name, Stamp: stamp, ConfigVolume: "csv1", Processors: 2, MemoryMiB: 2048,
	})
	l.Expect(err).NotTo(HaveOccurred())
	l.disk(host, name+`\boot.vhdx`)
	_, err = h.AttachDisk(ctx, fabricapi.VMFileRef{GUID: v.GUID, FileRef: on("csv1", name+`\boot.vhdx`)})
	l.Expect(err).NotTo(HaveOccurred())
	v, err = h.AddNIC(ctx, fabricapi.AddNICRequest{GUID: v.GUID, NIC: fabricapi.NIC{
		Switch: fabric.DefaultSwitch, MAC: fmt.Sprintf("02:00:00:00:00:%02x", len(name)),
	}})
	l.Expect(err).NotTo(HaveOccurred())
	return v
}

func (l *lab) disk(host, path string) fabricapi.File {
	l.t.Helper()
	f, err := l.Host(host).CreateDisk(ctx, fabricapi.CreateDiskRequest{FileRef: on("csv1", path), Bytes: 10 * gib})
	l.Expect(err).NotTo(HaveOccurred())
	return f
}

func (l *lab) start(host, guid string) {
	l.t.Helper()
	_, err := l.Host(host).StartVM(ctx, fabricapi.VMRef{GUID: guid})
	l.Expect(err).NotTo(HaveOccurred())
}

// booted lets the boot time pass and waits for the guest.
func (l *lab) booted(host, guid string) fabricapi.VM {
	l.t.Helper()
	l.clock.Step(bootTime)
	return l.wait(host, guid, fabricapi.Running, fabricapi.HeartbeatOK)
}

func (l *lab) wait(host, guid string, state fabricapi.State, heartbeat fabricapi.Heartbeat) fabricapi.VM {
	l.t.Helper()
	v, err := l.Host(host).WaitVM(ctx, fabricapi.WaitVMRequest{
		GUID: guid, State: state, Heartbeat: heartbeat, Timeout: time.Hour,
	})
	l.Expect(err).NotTo(HaveOccurred())
	return v
}

func (l *lab) get(host, guid string) fabricapi.VM {
	l.t.Helper()
	v, err := l.Host(host).GetVM(ctx, fabricapi.VMRef{GUID: guid})
	l.Expect(err).NotTo(HaveOccurred())
	return v
}

func on(volume, path string) fabricapi.FileRef { return fabricapi.FileRef{Volume: volume, Path: path} }

// pull asserts that a lever could be pulled.
func (l *lab) pull(_ fabricapi.None, err error) {
	l.t.Helper()
	l.Expect(err).NotTo(HaveOccurred())
}
