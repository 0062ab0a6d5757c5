package guests_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
	"github.com/capstan-k8s/capstan/internal/driver/simulated"
	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/fabric/guests"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// serve runs a fabric of one stand-alone host and returns that host's driver.
func serve(t *testing.T, dir string) *simulated.Driver {
	t.Helper()
	g := NewWithT(t)
	world, err := fabric.New(fabric.Options{
		Dir: dir, Topology: fabric.DefaultTopology(1, true), Clock: clock.RealClock{},
		Guests: guests.New(guests.Options{Clock: clock.RealClock{}, Log: logr.Discard(), Version: "v0.0.0"}),
	})
	g.Expect(err).NotTo(HaveOccurred())
	running, stop := context.WithCancel(context.Background())
	ready, served := make(chan struct{}), make(chan error, 1)
	go func() { served <- world.Serve(running, func() { close(ready) }) }()
	t.Cleanup(func() {
		stop()
		g.Expect(<-served).To(Succeed())
		g.Expect(world.Close()).To(Succeed())
	})
	<-ready
	return simulated.Dial(fabric.HostSocket(dir, "hv1"))
}

// aFaultyImage is one in which a guest never has a network.
func aFaultyImage(g Gomega) fabricapi.PublishedImage {
	images := fabric.DefaultImages()
	i := slices.IndexFunc(images, func(p fabricapi.PublishedImage) bool { return p.Fault == fabricapi.ImageNoNetwork })
	g.Expect(i).To(BeNumerically(">", 0))
	return images[i]
}

func TestWhatDoesNotWorkInAnImageDoesNotWorkInItsGuests(t *testing.T) {
	g := NewWithT(t)
	dir, err := os.MkdirTemp("", "fabric")
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	driver := serve(t, dir)
	const id = hostapi.VMID("0b7cb2d2-93bb-4f2c-8f43-6c3a5f1f6a10")
	seed, err := bootstrap.Seed(bootstrap.Input{
		Identity: bootstrap.Identity{VM: string(id), Hostname: "node-1"}, OS: bootstrap.Linux, UserData: []byte("#cloud-config\n{}\n"),
		NICs: []bootstrap.NIC{{MAC: hostapi.MACAddress(id, 0), Addresses: []netip.Prefix{netip.MustParsePrefix("127.120.1.1/16")}}},
	})
	g.Expect(err).NotTo(HaveOccurred())
	published := aFaultyImage(g)
	image := hostapi.ImageRef{Name: "faulty", SHA256: published.SHA256}
	_, err = driver.StageImage(t.Context(), hostapi.StageImageRequest{Image: image, Volume: "csv1", Source: published.Source})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = driver.EnsureVM(t.Context(), hostapi.EnsureVMRequest{
		Stamp: hostapi.Stamp{Installation: "here", ID: id}, Name: "node-1", OS: hostapi.Linux, Processors: 1, MemoryMiB: 1024,
		Disks: []hostapi.Disk{{Name: "boot", Volume: "csv1", Image: &image}},
		NICs:  []hostapi.NIC{{Switch: fabric.DefaultSwitch, MAC: hostapi.MACAddress(id, 0)}},
		Seed:  seed, Power: hostapi.PowerOn,
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() ([]string, error) {
		vm, err := driver.GetVM(t.Context(), id)
		g.Expect(vm.NICs[0].Addresses).To(BeEmpty())
		return vm.Console, err
	}, "20s").Should(ContainElement(ContainSubstring("systemd-networkd.service")))
}

func TestLoadBalancerBootsFromItsSeedAndThenFromItsDisk(t *testing.T) {
	g := NewWithT(t)
	// A test's own directory has too long a name for sockets.
	dir, err := os.MkdirTemp("", "fabric")
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	driver := serve(t, dir)

	// By the process, so that two runs of the tests at a time do not meet.
	address := netip.AddrFrom4([4]byte{127, 120, byte(os.Getpid() >> 8), byte(os.Getpid()%250 + 1)})
	listen := netip.AddrPortFrom(address, 9443).String()
	const id = hostapi.VMID("9c1de6d1-7c7d-4a44-8e3b-5f2f8f5d8a11")
	seed, err := bootstrap.Seed(bootstrap.Input{
		Identity: bootstrap.Identity{VM: string(id), Hostname: "lb-1"}, OS: bootstrap.Linux,
		NICs: []bootstrap.NIC{{
			MAC: hostapi.MACAddress(id, 0), Addresses: []netip.Prefix{netip.PrefixFrom(address, 16)},
			Gateways: []netip.Addr{netip.AddrFrom4([4]byte{127, 120, 255, 254})},
		}},
		LoadBalancer: &bootstrap.LoadBalancer{Config: fmt.Appendf(nil, "name: lb-1\nlisten: %q\nenrolmentToken: %q\n", listen, pki.NewToken().Reveal())},
	})
	g.Expect(err).NotTo(HaveOccurred())

	published := fabric.DefaultImages()[0]
	image := hostapi.ImageRef{Name: "linux", SHA256: published.SHA256}
	_, err = driver.StageImage(t.Context(), hostapi.StageImageRequest{Image: image, Volume: "csv1", Source: published.Source})
	g.Expect(err).NotTo(HaveOccurred())
	request := hostapi.EnsureVMRequest{
		Stamp: hostapi.Stamp{Installation: "here", ID: id}, Name: "lb-1", OS: hostapi.Linux, Processors: 1, MemoryMiB: 1024,
		Disks: []hostapi.Disk{{Name: "boot", Volume: "csv1", Image: &image}},
		NICs:  []hostapi.NIC{{Switch: fabric.DefaultSwitch, MAC: hostapi.MACAddress(id, 0)}},
		Seed:  seed, Power: hostapi.PowerOn,
	}
	ensure := func() hostapi.VM {
		t.Helper()
		vm, err := driver.EnsureVM(t.Context(), request)
		g.Expect(err).NotTo(HaveOccurred())
		return vm
	}
	listens := func() error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", listen)
		if err == nil {
			err = conn.Close()
		}
		return err
	}

	ensure()
	g.Eventually(listens, "20s").Should(Succeed())
	vm, err := driver.GetVM(t.Context(), id)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.NICs[0].Addresses).To(ConsistOf(address.String()))
	g.Expect(vm.Heartbeat).To(Equal(hostapi.HeartbeatOK))
	g.Expect(vm.Console).NotTo(BeEmpty())

	_, err = driver.SetPower(t.Context(), hostapi.SetPowerRequest{Stamp: request.Stamp, Power: hostapi.PowerOff, Force: true})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(errors.Is(listens(), syscall.ECONNREFUSED)).To(BeTrue(), "a VM that is off holds its address")

	request.Seed = nil
	g.Expect(ensure().SeedAttached).To(BeFalse())
	g.Eventually(listens, "20s").Should(Succeed())
}
