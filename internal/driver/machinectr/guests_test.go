package machinectr_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func (h *host) request(n int) hostapi.EnsureVMRequest {
	id := hostapi.VMID(fmt.Sprintf("9b5e4c1a-0000-4000-8000-%012d", n))
	image := h.Site().Image
	return hostapi.EnsureVMRequest{
		Stamp: hostapi.Stamp{Installation: "here", ID: id}, Name: "node", Owner: "team/node", OS: hostapi.Linux,
		Processors: 1, MemoryMiB: 64, Power: hostapi.PowerOn, Disks: []hostapi.Disk{{Name: "boot", Volume: "csv1", Bytes: 64 << 20, Image: &image}},
		NICs: []hostapi.NIC{{Switch: "lan", MAC: hostapi.MACAddress(id, 0)}, {Switch: "lan", VLAN: 7, MAC: hostapi.MACAddress(id, 1)}},
	}
}

func (h *host) stage() {
	_, err := h.driver.StageImage(h.t.Context(), hostapi.StageImageRequest{Image: h.Site().Image, Volume: "csv1", Source: h.Site().Source})
	h.g.Expect(err).NotTo(HaveOccurred())
}

func TestManyGuestsOfOneImageStartAndEndAtOnce(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	h.stage()
	const guests = 6
	all := func(do func(n int) error) {
		errs := make([]error, guests)
		var work sync.WaitGroup
		for n := range guests {
			work.Go(func() { errs[n] = do(n) })
		}
		work.Wait()
		g.Expect(errs).To(HaveEach(Not(HaveOccurred())))
	}
	for range 2 {
		all(func(n int) error {
			_, err := h.driver.EnsureVM(t.Context(), h.request(n))
			return err
		})
		for n := range guests {
			h.AwaitGuest(h.request(n).Stamp.ID)
		}
		all(func(n int) error {
			return h.driver.DeleteVM(t.Context(), hostapi.DeleteVMRequest{Stamp: h.request(n).Stamp})
		})
		g.Expect(h.driver.ListVMs(t.Context())).To(BeEmpty())
	}
}

func TestAGuestHasTheNICsOfItsVMEachOnItsOwnNetwork(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	h.stage()
	req := h.request(1)
	_, err := h.driver.EnsureVM(t.Context(), req)
	g.Expect(err).NotTo(HaveOccurred())
	h.AwaitGuest(req.Stamp.ID)
	links := command(t, "nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", h.pid(req.Stamp.ID)), "ip", "-brief", "link")
	for i, nic := range req.NICs {
		g.Expect(links).To(MatchRegexp(`(?m)^eth%d@\S+ .* %s `, i, nic.MAC))
	}
	bridge := h.options.Switches[0].Bridge
	onBridge := func(name string) string { return command(t, "ip", "-brief", "link", "show", "master", name) }
	g.Expect(onBridge(bridge)).To(MatchRegexp(`^mc\w+-0@.*\n$`))
	g.Expect(onBridge(bridge + ".7")).To(MatchRegexp(`^mc\w+-1@.*\n$`))

	// A connection that waits to be ended keeps the namespace as this file does.
	held, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", h.pid(req.Stamp.ID)))
	g.Expect(err).NotTo(HaveOccurred())
	defer held.Close()
	_, err = h.driver.SetPower(t.Context(), hostapi.SetPowerRequest{Stamp: req.Stamp, Power: hostapi.PowerOff, Force: true})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(onBridge(bridge) + onBridge(bridge+".7")).To(BeEmpty())
}

func TestABridgeThatIsDownIsRaised(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	bridge := h.options.Switches[0].Bridge
	command(t, "ip", "link", "set", bridge, "down")
	h.Restart()
	g.Expect(command(t, "ip", "link", "show", bridge)).To(MatchRegexp(`<[^>]*\bUP\b`))
}

func TestOfAConsoleTheLastIsKept(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	h.options.Layer = filepath.Join(h.dir, "layer")
	g.Expect(os.MkdirAll(filepath.Join(h.options.Layer, "etc"), 0o700)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(h.options.Layer, "etc", "lines"), []byte("400000"), 0o600)).To(Succeed())
	h.Restart()
	h.stage()
	req := h.request(1)
	_, err := h.driver.EnsureVM(t.Context(), req)
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() ([]string, error) {
		vm, err := h.driver.GetVM(t.Context(), req.Stamp.ID)
		return vm.Console, err
	}).WithTimeout(time.Minute).WithPolling(50 * time.Millisecond).Should(ContainElement(HavePrefix("line 400000 of what the guest has to say")))
	info, err := os.Stat(filepath.Join(h.options.RunDir, "guests", string(req.Stamp.ID), "console.log"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Size()).To(BeNumerically("<", 8<<20))
}

func TestWhatIsNotLinuxIsRefused(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	h.stage()
	before := h.Contents()
	req := h.request(1)
	req.OS = hostapi.Windows
	_, err := h.driver.EnsureVM(t.Context(), req)
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.InvalidArgument), "%v", err)
	g.Expect(h.Contents()).To(Equal(before))
}

func TestABridgeOfSomebodyElseIsLeftAlone(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	name := h.options.Host + "x"
	command(t, "ip", "link", "add", name, "type", "bridge")
	t.Cleanup(func() { command(t, "ip", "link", "delete", name) })
	before := command(t, "ip", "-details", "link", "show", name)
	g.Expect(h.driver.Close()).To(Succeed())
	o := h.options
	o.Switches = []machinectr.Switch{{Name: "lan", Bridge: name}}
	_, err := machinectr.New(t.Context(), o)
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.NotOwned), "%v", err)
	g.Expect(command(t, "ip", "-details", "link", "show", name)).To(Equal(before))
}

// killedAgent names the options of the driver of a process that starts a VM and
// is killed then.
const killedAgent = "MACHINECTR_TEST_KILLED_AGENT"

// TestMain is the killed agent, if it is told so.
func TestMain(m *testing.M) {
	path := os.Getenv(killedAgent)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := startAndBeKilled(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type killedWork struct {
	Options machinectr.Options
	Request hostapi.EnsureVMRequest
}

func startAndBeKilled(path string) error {
	var work killedWork
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &work); err != nil {
		return err
	}
	ctx := context.Background()
	driver, err := machinectr.New(ctx, work.Options)
	if err != nil {
		return err
	}
	if _, err := driver.EnsureVM(ctx, work.Request); err != nil {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func TestAGuestOutlivesTheAgentThatStartedIt(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	h.stage()
	text, err := json.Marshal(killedWork{h.options, h.request(1)})
	g.Expect(err).NotTo(HaveOccurred())
	path := filepath.Join(h.dir, "work.json")
	g.Expect(os.WriteFile(path, text, 0o600)).To(Succeed())
	g.Expect(h.driver.Close()).To(Succeed())
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), killedAgent+"="+path)
	out, err := agent.CombinedOutput()
	g.Expect(err).To(MatchError("signal: killed"), "%s", out)

	id := h.request(1).Stamp.ID
	h.AwaitGuest(id)
	pid := h.pid(id)
	h.Restart()
	_, err = h.driver.EnsureVM(t.Context(), h.request(1))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(h.pid(id)).To(Equal(pid), "it is the same guest")
}
