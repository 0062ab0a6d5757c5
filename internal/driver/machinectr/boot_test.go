package machinectr_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
	"github.com/capstan-k8s/capstan/internal/console"
	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// nodeImage names a squashfs of the node image.
const nodeImage = "CAPSTAN_NODE_SQUASHFS"

// bootTime is what systemd and cloud-init get on a machine that has other work.
const bootTime = 5 * time.Minute

// nodeHost is a host with plain folders for volumes, and the node image staged.
func nodeHost(t *testing.T, address netip.Prefix) (*host, hostapi.ImageRef) {
	t.Helper()
	source := os.Getenv(nodeImage)
	if source == "" {
		t.Skipf("%s is not set: it names the node image as a squashfs, and make test-machinectr sets it", nodeImage)
	}
	h := newHost(t)
	g := NewWithT(t)
	volume := filepath.Join(h.dir, "plain")
	g.Expect(os.Mkdir(volume, 0o700)).To(Succeed())
	h.options.Volumes = append(h.options.Volumes, machinectr.Volume{Name: "plain", Path: volume})
	h.options.Switches[0].Address, h.options.Layer = address, filepath.Join("..", "..", "..", "images", "machinectr", "files")
	h.Restart()
	f, err := os.Open(source)
	g.Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	g.Expect(err).NotTo(HaveOccurred())
	image := hostapi.ImageRef{Name: "node", SHA256: fmt.Sprintf("%x", sum.Sum(nil))}
	_, err = h.driver.StageImage(t.Context(), hostapi.StageImageRequest{Image: image, Volume: "plain", Source: source})
	g.Expect(err).NotTo(HaveOccurred())
	return h, image
}

// inGuest runs a program in a guest and returns what it says.
func (h *host) inGuest(id hostapi.VMID, args ...string) string {
	h.t.Helper()
	pid, err := h.driver.Init(id)
	h.g.Expect(err).NotTo(HaveOccurred())
	return command(h.t, "nsenter", append([]string{"-t", fmt.Sprint(pid), "-a"}, args...)...)
}

// requestOf asks for a VM that boots the node image, with an address on a switch and
// with user data.
func requestOf(t *testing.T, id hostapi.VMID, name string, image hostapi.ImageRef, address netip.Prefix, userData string) hostapi.EnsureVMRequest {
	t.Helper()
	mac := hostapi.MACAddress(id, 0)
	seed, err := bootstrap.Seed(bootstrap.Input{
		Identity: bootstrap.Identity{VM: string(id), Hostname: name}, OS: bootstrap.Linux, UserData: []byte(userData),
		NICs: []bootstrap.NIC{{MAC: mac, Addresses: []netip.Prefix{address}, Gateways: []netip.Addr{address.Masked().Addr().Next()}}},
	})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return hostapi.EnsureVMRequest{
		Stamp: hostapi.Stamp{Installation: "here", ID: id}, Name: name, Owner: "team/" + name, OS: hostapi.Linux,
		Processors: 2, MemoryMiB: 2048, Power: hostapi.PowerOn, Seed: seed,
		Disks: []hostapi.Disk{{Name: "boot", Volume: "plain", Bytes: 8 << 30, Image: &image}},
		NICs:  []hostapi.NIC{{Switch: "lan", MAC: mac}},
	}
}

func TestAGuestOfTheNodeImageTakesItsSeedAndKeepsWhatItWasGiven(t *testing.T) {
	address := netip.MustParsePrefix("10.213.77.11/24")
	h, image := nodeHost(t, netip.MustParsePrefix("10.213.77.1/24"))
	g := NewWithT(t)
	id := hostapi.VMID("3c0ffee0-0000-4000-8000-000000000001")
	request := requestOf(t, id, "node-a", image, address, "#cloud-config\nruncmd:\n- [touch, /etc/seeded]\n")
	request.Disks = append(request.Disks, hostapi.Disk{Name: "data", Volume: "csv2", Bytes: 64 << 20})
	_, err := h.driver.EnsureVM(t.Context(), request)
	g.Expect(err).NotTo(HaveOccurred())
	comesUp := func() {
		g.Eventually(func(g Gomega) {
			vm, err := h.driver.GetVM(t.Context(), id)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(vm.Heartbeat).To(Equal(hostapi.HeartbeatOK), "%q", vm.Console)
			g.Expect(vm.NICs[0].Addresses).To(ContainElement(address.Addr().String()), "%q", vm.Console)
			g.Expect(fmt.Sprintf("/proc/%d/root/etc/seeded", h.pid(id))).To(BeAnExistingFile())
		}).WithTimeout(bootTime).WithPolling(200 * time.Millisecond).Should(Succeed())
		g.Expect(h.inGuest(id, "hostname")).To(Equal("node-a\n"))
		g.Expect(h.inGuest(id, "df", "--output=target", "/disks/data")).To(ContainSubstring("/disks/data"))
	}
	began := time.Now()
	comesUp()
	t.Logf("up %s after it was made", time.Since(began).Round(time.Second))

	for line := range strings.Lines(h.inGuest(id, "systemd-analyze", "cat-config", "sysctl.d")) {
		g.Expect(line).To(Or(HavePrefix("net."), HavePrefix("#"), Equal("\n")), "the rest is the machine's")
	}

	// Without its seed, and after a boot, it is who it was.
	h.inGuest(id, "cloud-init", "status", "--wait")
	request.Seed = nil
	vm, err := h.driver.EnsureVM(t.Context(), request)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.SeedAttached).To(BeFalse())
	g.Expect(h.inGuest(id, "ls", "/var/lib/cloud/seed/nocloud")).To(BeEmpty())
	before := h.pid(id)
	command(t, "nsenter", "-t", fmt.Sprint(before), "-a", "systemctl", "--no-block", "reboot")
	g.Eventually(func() int { return h.pid(id) }).WithTimeout(bootTime).WithPolling(100 * time.Millisecond).ShouldNot(Or(Equal(before), BeZero()))
	comesUp()

	began = time.Now()
	vm, err = h.driver.SetPower(t.Context(), hostapi.SetPowerRequest{Stamp: request.Stamp, Power: hostapi.PowerOff, Timeout: time.Minute})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.State).To(Equal(hostapi.StateOff))
	t.Logf("off %s after it was asked", time.Since(began).Round(100*time.Millisecond))
	g.Expect(h.driver.DeleteVM(t.Context(), hostapi.DeleteVMRequest{Stamp: request.Stamp})).To(Succeed())
}

// joining is user data with which kubeadm does not get far, and that says on the console
// what it must not.
const joining = `#cloud-config
write_files:
- path: /run/kubeadm/join.yaml
  content: |
    apiVersion: kubeadm.k8s.io/v1beta4
    kind: JoinConfiguration
    discovery:
      bootstrapToken: {token: q1w2e3.r4t5y6u7i8o9p0a1, apiServerEndpoint: "10.213.78.1:6443", unsafeSkipCAVerification: true}
runcmd:
- systemctl stop containerd
- cat /run/kubeadm/join.yaml
- kubeadm join --config /run/kubeadm/join.yaml && echo success > /run/cluster-api/bootstrap-success.complete
`

func TestAGuestThatDoesNotJoinSaysWhyOnItsConsole(t *testing.T) {
	address := netip.MustParsePrefix("10.213.78.11/24")
	h, image := nodeHost(t, netip.MustParsePrefix("10.213.78.1/24"))
	g := NewWithT(t)
	id := hostapi.VMID("3c0ffee0-0000-4000-8000-000000000002")
	request := requestOf(t, id, "node-b", image, address, joining)
	_, err := h.driver.EnsureVM(t.Context(), request)
	g.Expect(err).NotTo(HaveOccurred())
	var vm hostapi.VM
	var init hostapi.GuestInit
	var lines []string
	g.Eventually(func(g Gomega) {
		vm, err = h.driver.GetVM(t.Context(), id)
		g.Expect(err).NotTo(HaveOccurred())
		init, lines = console.Read(vm.Console)
		g.Expect(init).To(Equal(hostapi.GuestInit{State: hostapi.InitFailed, Stage: "modules:final"}), "%q", vm.Console)
	}).WithTimeout(bootTime).WithPolling(200 * time.Millisecond).Should(Succeed())
	t.Logf("told:\n%s", strings.Join(lines, "\n"))
	g.Expect(lines).To(ContainElements(
		MatchRegexp(`^\[ERROR CRI\]: could not connect to the container runtime: .*containerd.sock: connect: `),
		ContainSubstring("error execution phase preflight"), ContainSubstring("Failed to run module scripts"),
	))
	g.Expect(strings.Join(vm.Console, "\n")).To(ContainSubstring("r4t5y6u7i8o9p0a1"), "it was said")
	g.Expect(strings.Join(lines, "\n")).NotTo(ContainSubstring("r4t5y6u7"), "and is not passed on")
	g.Expect(h.driver.DeleteVM(t.Context(), hostapi.DeleteVMRequest{Stamp: request.Stamp})).To(Succeed())
}

// pid is the guest's init, 0 if there is none.
func (h *host) pid(id hostapi.VMID) int {
	pid, err := h.driver.Init(id)
	h.g.Expect(err).NotTo(HaveOccurred())
	return pid
}
