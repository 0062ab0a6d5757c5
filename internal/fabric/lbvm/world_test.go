package lbvm_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
	"github.com/capstan-k8s/capstan/internal/driver/simulated"
	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbclient"
	"github.com/capstan-k8s/capstan/internal/pki"
)

var (
	network = netip.MustParsePrefix("127.121.0.0/16")
	gateway = netip.MustParseAddr("127.121.0.1")
	vip     = netip.MustParseAddr("127.121.100.1")
)

// port is that of the VIP's frontend.
const port = 6443

// world is a fabric in namespaces of its own, seen from where it was started.
type world struct {
	*WithT
	t       *testing.T
	dir     string
	manager *pki.ManagerIdentity
	admin   *fabricapi.AdminClient
	fabric  *exec.Cmd
	ended   chan struct{}
	vms     []*vm
}

// vm is a load-balancer VM as its manager knows it.
type vm struct {
	w        *world
	host     string
	request  hostapi.EnsureVMRequest
	target   lbclient.Target
	priority int32
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{WithT: NewWithT(t), t: t}
	w.SetDefaultEventuallyTimeout(30 * time.Second)
	w.SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	var err error
	// A test's own folder has too long a name for sockets.
	w.dir, err = os.MkdirTemp("", "fabric")
	w.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { w.Expect(os.RemoveAll(w.dir)).To(Succeed()) })
	w.admin = fabricapi.NewAdminClient(fabricapi.UnixTransport(fabric.AdminSocket(w.dir)))
	ca, err := pki.NewCA("capstan", time.Now())
	w.Expect(err).NotTo(HaveOccurred())
	w.manager, err = pki.NewManager(pki.ManagerOptions{Name: "manager", CA: ca, Now: time.Now})
	w.Expect(err).NotTo(HaveOccurred())
	return w
}

// start starts the fabric, at first or again.
func (w *world) start() {
	w.t.Helper()
	cmd := exec.Command(filepath.Join(programs, "fabric"), "--dir="+w.dir, "--hosts=2", "--stand-alone", "--boot-time=10ms",
		"--haproxy=auto", "--keepalived=on")
	cmd.Stderr = w.t.Output()
	out, err := cmd.StdoutPipe()
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(cmd.Start()).To(Succeed())
	ended := make(chan struct{})
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	w.t.Cleanup(func() {
		w.consoles()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(line).To(HavePrefix("fabric is up"))
	w.fabric, w.ended = cmd, ended
}

// boot makes a load-balancer VM on a host and enrols it.
func (w *world) boot(host string, number byte) *vm {
	w.t.Helper()
	token := pki.NewToken()
	v := w.machine(host, number, &token)
	w.switchOn(v)
	w.Eventually(func() error {
		return plain(lbclient.Enrol(w.t.Context(), v.target, w.manager, token, func(_ context.Context, pin pki.Pin) error {
			v.target.Agent.Pin = pin
			return nil
		}))
	}).Should(Succeed())
	w.vms = append(w.vms, v)
	return v
}

// machine returns a VM that can be switched on: a load balancer with this token, or one
// that does nothing.
func (w *world) machine(host string, number byte, token *pki.Token) *vm {
	w.t.Helper()
	name := fmt.Sprintf("lb-%d", number)
	address := netip.AddrFrom4([4]byte{127, 121, 1, number})
	listen := netip.AddrPortFrom(address, lbapi.Port).String()
	id := hostapi.VMID(fmt.Sprintf("9c1de6d1-7c7d-4a44-8e3b-5f2f8f5d8a%02d", number))
	input := bootstrap.Input{
		Identity: bootstrap.Identity{VM: string(id), Hostname: name}, OS: bootstrap.Linux,
		NICs: []bootstrap.NIC{{
			MAC: hostapi.MACAddress(id, 0), Addresses: []netip.Prefix{netip.PrefixFrom(address, network.Bits())}, Gateways: []netip.Addr{gateway},
		}},
	}
	if token != nil {
		config, err := lbapi.LBConfig{Name: name, Listen: listen, EnrolmentToken: token.Reveal()}.Marshal()
		w.Expect(err).NotTo(HaveOccurred())
		input.LoadBalancer = &bootstrap.LoadBalancer{Config: config}
	}
	seed, err := bootstrap.Seed(input)
	w.Expect(err).NotTo(HaveOccurred())
	published := fabric.DefaultImages()[0]
	image := hostapi.ImageRef{Name: "linux", SHA256: published.SHA256}
	_, err = w.driver(host).StageImage(w.t.Context(), hostapi.StageImageRequest{Image: image, Volume: "csv1", Source: published.Source})
	w.Expect(err).NotTo(HaveOccurred())
	return &vm{w: w, host: host, priority: 200 - int32(number), target: lbclient.Target{Address: listen, Agent: pki.AgentRef{Name: name}}, request: hostapi.EnsureVMRequest{
		Stamp: hostapi.Stamp{Installation: "here", ID: id}, Name: name, OS: hostapi.Linux, Processors: 1, MemoryMiB: 1024,
		Disks: []hostapi.Disk{{Name: "boot", Volume: "csv1", Image: &image}},
		NICs:  []hostapi.NIC{{Switch: fabric.DefaultSwitch, MAC: hostapi.MACAddress(id, 0)}},
		Seed:  seed, Power: hostapi.PowerOn,
	}}
}

func (w *world) driver(host string) *simulated.Driver {
	return simulated.Dial(fabric.HostSocket(w.dir, host))
}

func (w *world) switchOn(vms ...*vm) {
	w.t.Helper()
	for _, v := range vms {
		w.Eventually(func() error {
			_, err := w.driver(v.host).EnsureVM(w.t.Context(), v.request)
			return err
		}).Should(Succeed())
	}
}

// plan gives the VMs the VIP, and one server behind it: this test, at the gateway.
func (w *world) plan(vms ...*vm) {
	w.t.Helper()
	server, err := net.Listen("tcp", netip.AddrPortFrom(gateway, 0).String())
	w.Expect(err).NotTo(HaveOccurred())
	w.t.Cleanup(func() { _ = server.Close() })
	go func() {
		for conn, err := server.Accept(); err == nil; conn, err = server.Accept() {
			_, _ = io.WriteString(conn, "hello\n")
			_ = conn.Close()
		}
	}()
	plan := lbapi.Plan{
		Generation: 1, Cluster: "lab/shop", VIPs: []lbapi.VIP{{Address: vip.String(), Network: network.String(), VRID: 51}},
		Frontends: []lbapi.Frontend{{
			Name: "api", VIP: vip.String(), Port: port, Protocol: lbapi.TCP,
			Backends: []lbapi.Backend{{Name: "s", Address: gateway.String(), Port: int32(server.Addr().(*net.TCPAddr).Port)}},
			Check:    lbapi.Check{Kind: lbapi.CheckTCP, Interval: 200 * time.Millisecond, Timeout: time.Second, Rise: 1, Fall: 2},
		}},
	}
	for _, v := range vms {
		address, _, _ := strings.Cut(v.target.Address, ":")
		plan.Peers = append(plan.Peers, lbapi.Peer{Name: v.request.Name, Address: address, Priority: v.priority})
	}
	for _, v := range vms {
		plan.Self = v.request.Name
		w.Eventually(func() error {
			client, err := lbclient.Dial(v.target, w.manager)
			if err == nil {
				_, err = client.Apply(w.t.Context(), plan)
				_ = client.Close()
			}
			return plain(err)
		}).Should(Succeed())
	}
}

// consoles shows where the test has failed what the VMs have said.
func (w *world) consoles() {
	if !w.t.Failed() {
		return
	}
	seen, err := w.admin.World(context.Background())
	if err != nil {
		w.t.Log(err)
	}
	for _, site := range seen.Sites {
		for _, v := range site.VMs {
			w.t.Logf("%s is %s:\n%s", v.Name, v.State, strings.Join(v.Console, "\n"))
		}
	}
}

// plain is an error that is read as it is told.
func plain(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(err.Error())
}

// answers waits until the server is reached by the VIP.
func (w *world) answers() {
	w.t.Helper()
	w.Eventually(func() (string, error) {
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(vip, port).String(), 200*time.Millisecond)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
		answer, err := io.ReadAll(conn)
		return string(answer), err
	}).WithTimeout(takeover).Should(Equal("hello\n"))
}

// holder tells the VM that has the VIP from the other.
func (w *world) holder(a, b *vm) (holder, heir *vm) {
	w.t.Helper()
	roles := func() []lbapi.Role { return []lbapi.Role{a.role(), b.role()} }
	w.Eventually(roles).Should(ConsistOf(lbapi.RoleActive, lbapi.RoleStandby))
	if a.role() == lbapi.RoleActive {
		return a, b
	}
	return b, a
}

// role is what the VM says of itself, nothing if it says nothing.
func (v *vm) role() lbapi.Role {
	client, err := lbclient.Dial(v.target, v.w.manager)
	if err != nil {
		return ""
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(v.w.t.Context(), 2*time.Second)
	defer cancel()
	var role lbapi.Role
	_ = client.Watch(ctx, func(s lbapi.Status) {
		if len(s.VIPs) == 1 {
			role = s.VIPs[0].Role
			cancel()
		}
	})
	return role
}

func (v *vm) dial() error {
	conn, err := net.DialTimeout("tcp", v.target.Address, 200*time.Millisecond)
	if err == nil {
		err = conn.Close()
	}
	return err
}

// devices are what fabrics have here, where they were started.
func (w *world) devices() []string {
	out, err := exec.Command("ip", "-brief", "link").Output()
	w.Expect(err).NotTo(HaveOccurred())
	var found []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "capstan-") {
			found = append(found, line)
		}
	}
	return found
}

// routes are those to the network.
func (w *world) routes() string {
	out, err := exec.Command("ip", "route", "show", "table", "local", "root", network.String()).Output()
	w.Expect(err).NotTo(HaveOccurred())
	return string(out)
}

// running are the processes of a name.
func (w *world) running(name string) []int {
	entries, err := os.ReadDir("/proc")
	w.Expect(err).NotTo(HaveOccurred())
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// What has ended has no program any more.
		program, err := os.Readlink("/proc/" + entry.Name() + "/exe")
		if err == nil && filepath.Base(program) == name {
			pids = append(pids, pid)
		}
	}
	return pids
}
