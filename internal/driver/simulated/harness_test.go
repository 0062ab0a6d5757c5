package simulated_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/capstan-k8s/capstan/internal/driver/conformance"
	"github.com/capstan-k8s/capstan/internal/driver/simulated"
	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const (
	failoverDelay = time.Hour
	imageBytes    = int64(600 << 20)
)

// driverClock is the real clock for what the driver waits for, and a fake one
// for what only the harness lets pass.
type driverClock struct {
	clock.RealClock
	fake *clocktesting.FakeClock
}

func (c driverClock) Now() time.Time                  { return c.fake.Now() }
func (c driverClock) Since(t time.Time) time.Duration { return c.fake.Since(t) }

func (c driverClock) NewTimer(d time.Duration) clock.Timer {
	if d >= failoverDelay {
		return c.fake.NewTimer(d)
	}
	return c.RealClock.NewTimer(d)
}

// host is a host of a fabric of its own, reached over its socket.
type host struct {
	g     *WithT
	ctx   context.Context
	site  string
	image fabricapi.PublishedImage
	dir   string
	clock driverClock
	admin *fabricapi.AdminClient
	// eye is a client that is not the driver's.
	eye    *fabricapi.HostClient
	crash  *crasher
	driver *simulated.Driver
}

// standAlone and clustered add what only one kind of host can do.
type (
	standAlone struct{ *host }
	clustered  struct{ *host }
)

func newHost(t *testing.T, alone bool) *host {
	t.Helper()
	g := NewWithT(t)
	// A test's own directory has too long a name for a socket.
	dir, err := os.MkdirTemp("", "fabric")
	g.Expect(err).NotTo(HaveOccurred())
	h := &host{
		g: g, ctx: t.Context(), site: fabric.DefaultCluster, dir: dir,
		image: fabric.SimulatedImage(`\\there\linux.vhdx`, "Linux", "v1.36.3", imageBytes),
		clock: driverClock{fake: clocktesting.NewFakeClock(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC))},
	}
	topology := fabric.DefaultTopology(2, alone)
	topology.Images = []fabricapi.PublishedImage{h.image}
	if alone {
		h.site = "hv1"
	}
	world, err := fabric.New(fabric.Options{
		Dir: dir, Topology: topology, Clock: h.clock, Guests: fabric.NoGuests{}, FailoverDelay: failoverDelay,
	})
	g.Expect(err).NotTo(HaveOccurred())
	running, stop := context.WithCancel(context.Background())
	ready, served := make(chan struct{}), make(chan error, 1)
	go func() { served <- world.Serve(running, func() { close(ready) }) }()
	t.Cleanup(func() {
		stop()
		g.Expect(<-served).To(Succeed())
		g.Expect(world.Close()).To(Succeed())
		g.Expect(os.RemoveAll(dir)).To(Succeed())
	})
	<-ready
	h.admin = fabricapi.NewAdminClient(fabricapi.UnixTransport(fabric.AdminSocket(dir)))
	h.eye = fabricapi.NewHostClient(fabricapi.UnixTransport(fabric.HostSocket(dir, "hv2")))
	if alone {
		h.eye = fabricapi.NewHostClient(fabricapi.UnixTransport(fabric.HostSocket(dir, "hv1")))
	}
	h.Restart()
	return h
}

// crasher is the connection of a driver whose process can die.
type crasher struct {
	next http.RoundTripper

	mu    sync.Mutex
	calls int
	left  int
}

func (c *crasher) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	dead := c.left <= 0
	c.left--
	c.calls++
	c.mu.Unlock()
	if dead {
		return nil, fmt.Errorf("the process of the driver was killed")
	}
	return c.next.RoundTrip(r)
}

func (h *host) Driver() hostapi.Driver { return h.driver }

func (h *host) Restart() {
	h.crash = &crasher{next: fabricapi.UnixTransport(fabric.HostSocket(h.dir, "hv1")), left: math.MaxInt}
	h.driver = simulated.New(fabricapi.NewHostClient(h.crash))
}

func (h *host) Calls() int {
	h.crash.mu.Lock()
	defer h.crash.mu.Unlock()
	return h.crash.calls
}

func (h *host) CrashAfter(n int) {
	h.crash.mu.Lock()
	defer h.crash.mu.Unlock()
	h.crash.left = n
}

func (h *host) Site() conformance.Site {
	return conformance.Site{
		Volumes: []string{"csv1", "csv2"}, Switch: fabric.DefaultSwitch,
		Image: hostapi.ImageRef{Name: "linux-v1.36.3", SHA256: h.image.SHA256}, Source: h.image.Source, Bytes: h.image.VirtualBytes,
	}
}

// guid returns the one VM of an ID.
func (h *host) guid(id hostapi.VMID) string {
	world, err := h.admin.World(h.ctx)
	h.g.Expect(err).NotTo(HaveOccurred())
	var found []string
	for _, site := range world.Sites {
		for _, v := range site.VMs {
			if v.Stamp != nil && v.Stamp.ID == string(id) {
				found = append(found, v.GUID)
			}
		}
	}
	h.g.Expect(found).To(HaveLen(1))
	return found[0]
}

func (h *host) AwaitGuest(id hostapi.VMID) {
	_, err := h.eye.WaitVM(h.ctx, fabricapi.WaitVMRequest{
		GUID: h.guid(id), State: fabricapi.Running, Heartbeat: fabricapi.HeartbeatOK, Timeout: time.Minute,
	})
	h.g.Expect(err).NotTo(HaveOccurred())
}

func (h *host) Contents() []string {
	world, err := h.admin.World(h.ctx)
	h.g.Expect(err).NotTo(HaveOccurred())
	lines := []string{}
	for _, site := range world.Sites {
		for _, v := range site.VMs {
			iso := ""
			if v.ISO != nil {
				iso = v.ISO.Path
			}
			lines = append(lines, fmt.Sprintf("VM %s %v %s %s cpu=%d memory=%d disks=%v nics=%v iso=%s role=%s",
				v.Name, v.Stamp, v.Notes, v.State, v.Processors, v.MemoryMiB, v.Disks, v.NICs, iso, v.Role))
		}
		for _, f := range site.Files {
			lines = append(lines, fmt.Sprintf("file %s %s %s %v size=%d/%d parent=%s content=%s ro=%t",
				f.Volume, f.Path, f.Label, f.Stamp, f.FileBytes, f.VirtualBytes, f.Parent, f.Checksum, f.ReadOnly))
		}
		for _, r := range site.Roles {
			slices.Sort(r.Volumes)
			lines = append(lines, fmt.Sprintf("role %s %v on %v", r.Name, r.Stamp, r.Volumes))
		}
	}
	slices.Sort(lines)
	return lines
}

func (h *host) AddForeignVM(name string) {
	v, err := h.admin.AddVM(h.ctx, fabricapi.AddVMRequest{Host: "hv1", DefineVMRequest: fabricapi.DefineVMRequest{
		Name: name, ConfigVolume: "csv1", Processors: 1, MemoryMiB: 1024,
	}})
	h.g.Expect(err).NotTo(HaveOccurred())
	_, err = h.eye.StartVM(h.ctx, v.GUID)
	h.g.Expect(err).NotTo(HaveOccurred())
}

func (h *host) AddForeignDisk(id hostapi.VMID, disk hostapi.Disk) {
	h.g.Expect(h.admin.AddFile(h.ctx, fabricapi.AddFileRequest{Site: h.site, File: fabricapi.File{
		FileRef: fabricapi.FileRef{Volume: disk.Volume, Path: `capstan\vms\` + string(id) + `\` + disk.Name + ".vhdx"},
		Kind:    fabricapi.VHDX, FileBytes: 1 << 20, VirtualBytes: 1 << 30,
	}})).To(Succeed())
}

func (h *host) RemoveVM(id hostapi.VMID) {
	h.g.Expect(h.admin.RemoveVM(h.ctx, h.guid(id))).To(Succeed())
}

func (h *host) RemoveDisk(id hostapi.VMID, disk hostapi.Disk) {
	h.g.Expect(h.admin.RemoveFile(h.ctx, fabricapi.RemoveFileRequest{Site: h.site, FileRef: fabricapi.FileRef{
		Volume: disk.Volume, Path: `capstan\vms\` + string(id) + `\` + disk.Name + ".vhdx",
	}})).To(Succeed())
}

func (h *host) FillVolume(volume string) {
	h.g.Expect(h.admin.FillVolume(h.ctx, fabricapi.FillVolumeRequest{Site: h.site, Volume: volume})).To(Succeed())
}

func (h *host) EmptyVolume(volume string) {
	h.g.Expect(h.admin.FillVolume(h.ctx, fabricapi.FillVolumeRequest{Site: h.site, Volume: volume, FreeBytes: -1})).To(Succeed())
}

func (h *host) setFault(volume string, fault fabricapi.FaultState) {
	h.g.Expect(h.admin.SetVolumeFault(h.ctx, fabricapi.SetVolumeFaultRequest{Site: h.site, Volume: volume, Fault: fault})).To(Succeed())
}

func (h *host) FaultVolume(volume string) { h.setFault(volume, fabricapi.NoAccess) }
func (h *host) ClearVolume(volume string) { h.setFault(volume, fabricapi.Healthy) }

func (h *host) Deafen(id hostapi.VMID) {
	h.g.Expect(h.admin.SetGuest(h.ctx, h.guid(id), true)).To(Succeed())
}

func (h *host) SetReachable(reachable bool) {
	h.g.Expect(h.admin.ClearInjections(h.ctx)).To(Succeed())
	if !reachable {
		h.g.Expect(h.admin.Inject(h.ctx, fabricapi.Injection{Host: "hv1", Times: math.MaxInt})).To(Succeed())
	}
}

func (h *host) SpoilSource() {
	spoilt := h.image
	spoilt.SHA256 = "spoilt"
	h.g.Expect(h.admin.Publish(h.ctx, spoilt)).To(Succeed())
}

func (h standAlone) Lacks() map[conformance.Ability]string {
	return map[conformance.Ability]string{conformance.CanClusterHosts: "the host stands alone"}
}

func (h standAlone) PowerCycle() { h.g.Expect(h.admin.RebootHost(h.ctx, "hv1")).To(Succeed()) }

func (h clustered) Lacks() map[conformance.Ability]string {
	return map[conformance.Ability]string{conformance.CanRunStandAlone: "the host is in a failover cluster, which restarts VMs"}
}

func (h clustered) Peer() hostapi.Driver { return simulated.Dial(fabric.HostSocket(h.dir, "hv2")) }

func (h clustered) Isolate(isolated bool) {
	h.g.Expect(h.admin.IsolateHost(h.ctx, "hv1", isolated)).To(Succeed())
}

func (h clustered) LoseNode() { h.g.Expect(h.admin.HostDown(h.ctx, "hv1")).To(Succeed()) }

func (h clustered) FailOver() { h.clock.fake.Step(failoverDelay) }
