package hypervfake_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmiremote"
	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/fabric/hypervfake"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const (
	id            = hostapi.VMID("0b1f4c1e-6f0e-4f0a-9a3b-1c2d3e4f5a6b")
	source        = `\\images.example\capstan\linux-v1.36.3.vhdx`
	address       = "127.64.1.7"
	failoverDelay = time.Hour
	patience      = "1m"
)

// machines are guests that tell their one address, and remember what they found.
type machines struct {
	mu      sync.Mutex
	booted  []fabric.Machine
	running int
}

func (m *machines) Start(_ context.Context, found fabric.Machine, report func(fabric.Report)) (fabric.Guest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.booted = append(m.booted, found)
	m.running++
	if err := os.MkdirAll(found.DiskDir, 0o700); err != nil {
		return nil, err
	}
	report(fabric.Report{Addresses: map[string][]string{found.MACs[0]: {address}}})
	return machine{m}, nil
}

// machine is one of them.
type machine struct{ of *machines }

func (m machine) Stop() {
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	m.of.running--
}

func (machine) Link(bool) error { return nil }

func (m *machines) seen() ([]fabric.Machine, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.booted, m.running
}

// failoverClock is the real clock, but for the failover cluster, which waits for the test.
type failoverClock struct {
	clock.RealClock
	fake *clocktesting.FakeClock
}

func (c failoverClock) NewTimer(d time.Duration) clock.Timer {
	if d >= failoverDelay {
		return c.fake.NewTimer(d)
	}
	return c.RealClock.NewTimer(d)
}

// site is hosts behind their sockets.
type site struct {
	*WithT
	t      *testing.T
	dir    string
	clock  failoverClock
	guests *machines
	admin  *fabricapi.AdminClient
}

func serve(t *testing.T) *site {
	t.Helper()
	s := &site{WithT: NewWithT(t), t: t, guests: &machines{}, clock: failoverClock{fake: clocktesting.NewFakeClock(time.Unix(0, 0))}}
	// A test's own directory has too long a name for a socket.
	var err error
	s.dir, err = os.MkdirTemp("", "fabric")
	s.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = os.RemoveAll(s.dir) })
	world, err := hypervfake.New(hypervfake.Options{
		Dir: s.dir, Topology: fabric.DefaultTopology(3, false), Clock: s.clock, Guests: s.guests, Log: slog.New(slog.DiscardHandler),
		FailoverDelay: failoverDelay,
	})
	s.Expect(err).NotTo(HaveOccurred())
	running, stop := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- world.Serve(running, func() { close(ready) }) }()
	t.Cleanup(func() {
		stop()
		s.Expect(<-done).To(Succeed())
		s.Expect(world.Close()).To(Succeed())
	})
	<-ready
	s.admin = fabricapi.NewAdminClient(fabricapi.UnixTransport(fabric.AdminSocket(s.dir)))
	return s
}

// driver is the one that ships, in the process of a host's agent.
func (s *site) driver(host string) *hyperv.Driver {
	s.t.Helper()
	there := wmiremote.New(fabricapi.UnixTransport(fabric.HostSocket(s.dir, host)))
	d, err := hyperv.New(s.t.Context(), hyperv.Options{
		WMI: there, Files: there.Files(), Sources: there.Sources(), Logger: slog.New(slog.DiscardHandler),
		Pause: func(ctx context.Context) error { return ctx.Err() },
	})
	s.Expect(err).NotTo(HaveOccurred())
	return d
}

func (s *site) only() fabricapi.Site {
	s.t.Helper()
	world, err := s.admin.World(s.t.Context())
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(world.Complaints).To(BeEmpty())
	s.Expect(world.Sites).To(HaveLen(1))
	return world.Sites[0]
}

func image() hostapi.ImageRef {
	return hostapi.ImageRef{Name: "linux-v1.36.3", SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(source)))}
}

var stamp = hostapi.Stamp{Installation: "here", ID: id}

// create makes a VM by the driver of a host, as the manager would.
func (s *site) create(d *hyperv.Driver, os hostapi.OS) {
	s.t.Helper()
	from := image()
	_, err := d.StageImage(s.t.Context(), hostapi.StageImageRequest{Image: from, Volume: "csv1", Source: source})
	s.Expect(err).NotTo(HaveOccurred())
	_, err = d.EnsureVM(s.t.Context(), hostapi.EnsureVMRequest{
		Stamp: stamp, Name: "a", Owner: "team/a", OS: os, Processors: 2, MemoryMiB: 1024, Power: hostapi.PowerOn, Seed: []byte("a seed"),
		Disks: []hostapi.Disk{{Name: "boot", Volume: "csv1", Bytes: 40 << 30, Image: &from}, {Name: "data", Volume: "csv2", Bytes: 1 << 30}},
		NICs:  []hostapi.NIC{{Switch: fabric.DefaultSwitch, MAC: hostapi.MACAddress(id, 0)}},
	})
	s.Expect(err).NotTo(HaveOccurred())
}

// answers waits until the guest answers on a host.
func (s *site) answers(d *hyperv.Driver, host string) {
	s.t.Helper()
	s.Eventually(func() (hostapi.VM, error) { return d.GetVM(s.t.Context(), id) }, patience).Should(And(
		HaveField("State", hostapi.StateRunning), HaveField("Heartbeat", hostapi.HeartbeatOK), HaveField("Host", host),
		HaveField("NICs", ConsistOf(HaveField("Addresses", ConsistOf(address)))),
	))
}

func TestAVMOfTheDriverBootsAGuestThatFindsItsSeedAndItsImage(t *testing.T) {
	s := serve(t)
	d := s.driver("hv1")
	s.create(d, hostapi.Linux)
	s.answers(d, "hv1")
	booted, running := s.guests.seen()
	s.Expect(running).To(Equal(1))
	s.Expect(booted).To(ConsistOf(And(
		HaveField("Name", "a "+string(id)), HaveField("OS", "Linux"), HaveField("KubernetesVersion", "v1.36.3"),
		HaveField("MACs", ConsistOf(hostapi.MACAddress(id, 0))), HaveField("Seed", []byte("a seed")),
	)))
	s.Expect(booted[0].DiskDir).To(BeADirectory())

	vm, err := s.driver("hv2").GetVM(t.Context(), id)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(vm.Host).To(Equal("hv1"), "the agent of another node sees it, too")
}

func TestNothingIsLeftOfADeletedVMButItsImage(t *testing.T) {
	s := serve(t)
	d := s.driver("hv1")
	s.create(d, hostapi.Linux)
	s.answers(d, "hv1")
	before := s.only()
	s.Expect(before.VMs).To(ConsistOf(And(HaveField("State", fabricapi.Running), HaveField("Disks", HaveLen(2)), HaveField("ISO.Path", HaveSuffix("seed.iso")))))
	s.Expect(before.Roles).To(HaveLen(2), "its claim and its clustered role")
	booted, _ := s.guests.seen()

	s.Expect(d.DeleteVM(t.Context(), hostapi.DeleteVMRequest{Stamp: stamp})).To(Succeed())
	_, running := s.guests.seen()
	s.Expect(running).To(BeZero(), "its guest is gone before the host says so")
	after := s.only()
	s.Expect(after.VMs).To(BeEmpty())
	s.Expect(after.Roles).To(BeEmpty())
	s.Expect(after.Files).To(ConsistOf(
		HaveField("Kind", fabricapi.Folder), HaveField("Kind", fabricapi.Folder), HaveField("Kind", fabricapi.Folder), HaveField("Kind", fabricapi.Folder),
		And(HaveField("Kind", fabricapi.Folder), HaveField("Path", `capstan\images`)),
		HaveField("Path", `capstan\images\`+image().SHA256+".json"),
		And(HaveField("Path", `capstan\images\`+image().SHA256+".vhdx"), HaveField("Image.Of", image().SHA256)),
	), "folders of both volumes, and the image with its record")
	s.Expect(booted[0].DiskDir).NotTo(BeADirectory())
}

func TestTheFailoverClusterBringsTheVMOfALostHostUpElsewhere(t *testing.T) {
	s := serve(t)
	d := s.driver("hv1")
	s.create(d, hostapi.Linux)
	s.answers(d, "hv1")
	s.Expect(s.admin.HostDown(t.Context(), "hv1")).To(Succeed())
	_, running := s.guests.seen()
	s.Expect(running).To(BeZero())
	_, err := d.Inventory(t.Context())
	s.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.HostUnreachable), "%v", err)
	peer := s.driver("hv2")
	_, err = peer.GetVM(t.Context(), id)
	s.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.HostUnreachable), "%v", err)

	s.clock.fake.Step(failoverDelay)
	var heir string
	s.Eventually(func() string {
		if vm, err := peer.GetVM(t.Context(), id); err == nil {
			heir = vm.Host
		}
		return heir
	}, patience).Should(BeElementOf("hv2", "hv3"))
	s.answers(peer, heir)
	s.Expect(s.admin.HostUp(t.Context(), "hv1")).To(Succeed())
	s.answers(d, heir)
	booted, running := s.guests.seen()
	s.Expect(running).To(Equal(1))
	s.Expect(booted).To(HaveLen(2))
	s.Expect(booted[1].DiskDir).To(Equal(booted[0].DiskDir), "it is the same machine")
}

func TestAHostThatIsBackInTimeStartsItsOwnVMs(t *testing.T) {
	s := serve(t)
	d := s.driver("hv1")
	s.create(d, hostapi.Linux)
	s.answers(d, "hv1")
	was, err := d.Inventory(t.Context())
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(s.admin.HostDown(t.Context(), "hv1")).To(Succeed())
	s.Expect(s.admin.HostUp(t.Context(), "hv1")).To(Succeed())
	s.answers(d, "hv1")
	is, err := d.Inventory(t.Context())
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(is.BootID).NotTo(Equal(was.BootID))
	s.Expect(is.HypervisorVersion).To(HaveSuffix("(fake)"), "nobody shall take it for a real one")
	s.Expect(s.admin.HostDown(t.Context(), "hv4")).To(MatchError(ContainSubstring("no host hv4")))
}

func TestAGuestThatIsAskedToShutDownIsOff(t *testing.T) {
	s := serve(t)
	d := s.driver("hv1")
	s.create(d, hostapi.Linux)
	s.answers(d, "hv1")
	vm, err := d.SetPower(t.Context(), hostapi.SetPowerRequest{Stamp: stamp, Power: hostapi.PowerOff, Timeout: time.Minute})
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(vm.State).To(Equal(hostapi.StateOff))
	_, running := s.guests.seen()
	s.Expect(running).To(BeZero())
}

func TestFirmwareBootsNothingThatItDoesNotTrust(t *testing.T) {
	s := serve(t)
	d := s.driver("hv1")
	s.create(d, hostapi.Windows)
	vm, err := d.GetVM(t.Context(), id)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(vm).To(And(HaveField("State", hostapi.StateRunning), HaveField("Heartbeat", hostapi.HeartbeatUnknown)))
	s.Expect(d.DeleteVM(t.Context(), hostapi.DeleteVMRequest{Stamp: stamp})).To(Succeed())
	booted, _ := s.guests.seen()
	s.Expect(booted).To(BeEmpty())
}

func TestHostsThatAreNotAlikeAreRefused(t *testing.T) {
	clustered, alone := fabric.DefaultTopology(2, false), fabric.DefaultTopology(2, true)
	bigger, disk, image := fabric.DefaultTopology(2, false), fabric.DefaultTopology(2, false), fabric.DefaultTopology(2, false)
	bigger.Hosts[1].MemoryMiB *= 2
	disk.FailoverClusters[0].Volumes[1].SizeGiB++
	image.Images[0].SHA256 = "0"
	for name, c := range map[string]struct {
		topology fabric.Topology
		err      string
	}{
		"hosts that stand alone":    {alone, "in one failover cluster"},
		"a host of another size":    {bigger, "hv2 is not like hv1"},
		"a volume of another size":  {disk, "csv2 is not like csv1"},
		"an image of other content": {image, "its checksum"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := hypervfake.New(hypervfake.Options{Dir: t.TempDir(), Topology: c.topology})
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(c.err)))
		})
	}
	world, err := hypervfake.New(hypervfake.Options{Dir: filepath.Join(t.TempDir(), "fabric"), Topology: clustered})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(world.Close()).To(Succeed())
}
