package hypervfake

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmifake"
	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// guests boots the fabric's guests in VMs of the fake.
type guests struct {
	runtime            fabric.GuestRuntime
	clock              clock.WithDelayedExecution
	log                *slog.Logger
	library            library
	content            string
	bootTime, stopTime time.Duration

	mu    sync.Mutex
	boots map[string]*boot
	// running are the goroutines of boots.
	running sync.WaitGroup
}

var _ wmifake.Guests = (*guests)(nil)

// boot is a VM with power.
type boot struct {
	host wmifake.Services
	// power ends with the VM's, gone is closed once nothing is left of the guest.
	power context.Context
	cut   context.CancelFunc
	gone  chan struct{}
}

func newGuests(o Options, l library, content string) *guests {
	return &guests{
		runtime: o.Guests, clock: o.Clock, log: o.Log, library: l, content: content, bootTime: o.BootTime, stopTime: o.StopTime,
		boots: map[string]*boot{},
	}
}

// PowerOn implements wmifake.Guests.
func (g *guests) PowerOn(m wmifake.Machine, host wmifake.Services) {
	b := &boot{host: host, gone: make(chan struct{})}
	b.power, b.cut = context.WithCancel(context.Background())
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.boots[m.GUID]
	g.boots[m.GUID] = b
	g.running.Go(func() {
		defer close(b.gone)
		if before != nil {
			// It binds the same addresses.
			<-before.gone
		}
		g.run(b, m)
	})
}

// run is a guest from power on to power off.
func (g *guests) run(b *boot, m wmifake.Machine) {
	if !g.wait(b.power, g.bootTime) {
		return
	}
	log := g.log.With("vm", m.Name)
	machine := g.machine(m)
	if err := fabric.CheckSecureBoot(fabricapi.SecureBootTemplate(m.SecureBootTemplate), machine.OS); m.SecureBootTemplate != "" && err != nil {
		// The VM stays on, with nothing in it that could answer.
		log.Warn("firmware does not boot", "error", err)
		<-b.power.Done()
		return
	}
	guest, err := g.runtime.Start(b.power, machine, func(r fabric.Report) { g.report(b, machine, r) })
	if err != nil {
		log.Warn("guest does not boot", "error", err)
		<-b.power.Done()
		return
	}
	b.host.Up()
	<-b.power.Done()
	guest.Stop()
}

// wait returns whether the power was there all the time.
func (g *guests) wait(power context.Context, d time.Duration) bool {
	if d <= 0 {
		return power.Err() == nil
	}
	timer := g.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-power.Done():
		return false
	}
}

func (g *guests) report(b *boot, m fabric.Machine, r fabric.Report) {
	var addresses []string
	for _, mac := range m.MACs {
		addresses = append(addresses, r.Addresses[mac]...)
	}
	if r.Addresses != nil {
		b.host.Report(addresses)
	}
	for _, line := range r.Console {
		g.log.Debug("console", "vm", m.Name, "line", line)
	}
}

// machine is a VM as guests of the fabric find it.
func (g *guests) machine(m wmifake.Machine) fabric.Machine {
	out := fabric.Machine{GUID: m.GUID, Name: m.Name, Seed: m.Seed}
	for _, mac := range m.MACs {
		out.MACs = append(out.MACs, colons(mac))
	}
	if m.Disk != "" {
		out.DiskDir = g.diskDir(m.Disk)
	}
	if image, ok := g.library.image(m.Image); ok {
		out.OS, out.KubernetesVersion, out.Fault = image.OS, image.KubernetesVersion, image.Fault
	}
	return out
}

// colons is a MAC address as guests have it: Hyper-V has neither colons nor lower case.
func colons(mac string) string {
	var out []string
	for i := 0; i+2 <= len(mac); i += 2 {
		out = append(out, strings.ToLower(mac[i:i+2]))
	}
	return strings.Join(out, ":")
}

func (g *guests) diskDir(disk string) string { return filepath.Join(g.content, disk) }

// PowerOff implements wmifake.Guests.
func (g *guests) PowerOff(guid string) (gone func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.boots[guid]
	if b == nil {
		return func() {}
	}
	b.cut()
	return func() {
		<-b.gone
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.boots[guid] == b {
			delete(g.boots, guid)
		}
	}
}

// ShutDown implements wmifake.Guests.
func (g *guests) ShutDown(guid string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.boots[guid]
	if b == nil {
		return
	}
	g.running.Go(func() {
		if g.wait(b.power, g.stopTime) {
			b.host.Stopped()
		}
	})
}

// Erased implements wmifake.Guests.
func (g *guests) Erased(disk string) {
	if err := os.RemoveAll(g.diskDir(disk)); err != nil {
		g.log.Warn("what a guest wrote to its disk stays", "disk", disk, "error", err)
	}
}

// close takes the power from all guests and returns when they are gone.
func (g *guests) close() {
	g.mu.Lock()
	for _, b := range g.boots {
		b.cut()
	}
	g.mu.Unlock()
	g.running.Wait()
}
