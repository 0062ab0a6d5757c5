package hostclient_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/hostclient"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
)

func stamp(id string) hostapi.Stamp {
	return hostapi.Stamp{Installation: "here", ID: hostapi.VMID(id)}
}

func wanted(id string) hostapi.EnsureVMRequest {
	return hostapi.EnsureVMRequest{Stamp: stamp(id), Name: id, Processors: 2, MemoryMiB: 2048, Power: hostapi.PowerOn}
}

func TestAVMLivesItsLifeThroughTheWire(t *testing.T) {
	g := NewWithT(t)
	driver := agenttest.NewDriver("hv-1")
	client := agenttest.Start(t, agenttest.Options{Driver: driver}).Client()
	ctx := t.Context()

	hello, err := client.Hello(ctx)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(hello).To(Equal(hostapi.Hello{Host: "hv-1", Version: "v0.0.0-test", Protocols: hostapi.Protocols(), Driver: "agenttest", BootID: "boot-1"}))
	image, err := client.StageImage(ctx, hostapi.StageImageRequest{
		Image:  hostapi.ImageRef{Name: "linux", SHA256: "0000000000000000000000000000000000000000000000000000000000000001"},
		Volume: "csv1", Source: "https://images.example/linux.vhdx",
	})
	g.Expect(err).NotTo(HaveOccurred())
	inventory, err := client.Inventory(ctx)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(inventory.Images).To(ConsistOf(image))

	req := wanted("vm-1")
	req.Seed = []byte("seed")
	vm, err := client.EnsureVM(ctx, req)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.SeedAttached).To(BeTrue())
	vm, err = client.SetPower(ctx, hostapi.SetPowerRequest{Stamp: stamp("vm-1"), Power: hostapi.PowerOff, Timeout: time.Minute})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.State).To(Equal(hostapi.StateOff))
	vms, err := client.ListVMs(ctx)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vms).To(ConsistOf(vm))
	got, err := client.GetVM(ctx, "vm-1")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(Equal(vm))

	g.Expect(client.DeleteVM(ctx, hostapi.DeleteVMRequest{Stamp: stamp("vm-1")})).To(Succeed())
	_, err = client.GetVM(ctx, "vm-1")
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.NotFound))
	g.Expect(client.Bury(ctx, []hostapi.Tombstone{{Stamp: stamp("vm-1")}})).To(Equal([]hostapi.VMID{"vm-1"}))
	_, err = client.EnsureVM(ctx, wanted("vm-1"))
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Conflict))
}

func TestSlowWorkIsPolledByItsReference(t *testing.T) {
	g := NewWithT(t)
	driver := agenttest.NewDriver("hv-1")
	client := agenttest.Start(t, agenttest.Options{Driver: driver}).Client()
	gate := driver.Block("EnsureVM")
	vm, err := client.EnsureVM(t.Context(), wanted("vm-1"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.Operation).NotTo(BeNil())

	operation, err := client.GetOperation(t.Context(), vm.Operation.Ref)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(operation.Done).To(BeFalse())
	g.Expect(operation.Started).To(BeTemporally("==", vm.Operation.Started))
	gate.Open()
	g.Eventually(func() bool {
		operation, err = client.GetOperation(t.Context(), vm.Operation.Ref)
		g.Expect(err).NotTo(HaveOccurred())
		return operation.Done
	}).WithTimeout(20 * time.Second).WithPolling(5 * time.Millisecond).Should(BeTrue())
	_, err = client.GetOperation(t.Context(), "unheard-of")
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.NotFound))
}

func TestTheAgentsOwnErrorArrivesWhole(t *testing.T) {
	g := NewWithT(t)
	driver := agenttest.NewDriver("hv-1")
	client := agenttest.Start(t, agenttest.Options{Driver: driver}).Client()
	driver.FailNext("EnsureVM", hostapi.Errorf(hostapi.OutOfCapacity, "EnsureVM", hostapi.ResourceMemory, "asked for 2048 MiB, 512 MiB are free"))
	_, err := client.EnsureVM(t.Context(), wanted("vm-1"))
	var typed *hostapi.Error
	g.Expect(errors.As(err, &typed)).To(BeTrue())
	g.Expect(*typed).To(Equal(hostapi.Error{
		Class: hostapi.OutOfCapacity, Op: "EnsureVM", Resource: hostapi.ResourceMemory, Message: "asked for 2048 MiB, 512 MiB are free",
	}))
}

func TestAnAgentThatDoesNotAnswerIsUnreachableAndThenFoundAgain(t *testing.T) {
	g := NewWithT(t)
	driver := agenttest.NewDriver("hv-1")
	host := agenttest.Start(t, agenttest.Options{Driver: driver})
	client, err := hostclient.Dial(host.Target, host.Manager)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(client.Close)
	_, err = client.Hello(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(client.Connected()).To(BeTrue())

	host.Stop()
	_, err = client.GetVM(t.Context(), "vm-1")
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.HostUnreachable))
	g.Expect(err).To(MatchError(ContainSubstring("agent host-1 at " + host.Target.Address)))
	for _, reason := range reasons {
		g.Expect(errors.Is(err, reason)).To(BeFalse())
	}
	host.Restart(nil)
	g.Eventually(func() error { _, err := client.Hello(t.Context()); return err }).
		WithTimeout(20 * time.Second).WithPolling(10 * time.Millisecond).Should(Succeed())
}

func TestACallThatRunsOutOfTimeIsUnreachable(t *testing.T) {
	g := NewWithT(t)
	driver := agenttest.NewDriver("hv-1")
	client := agenttest.Start(t, agenttest.Options{Driver: driver}).Client()
	gate := driver.Block("ListVMs")
	defer gate.Open()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		gate.AwaitCall()
		cancel()
	}()
	_, err := client.ListVMs(ctx)
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.HostUnreachable))
}

// reasons are what an agent that answers may be unreachable for.
var reasons = []error{hostapi.ErrCertificateMismatch, hostapi.ErrCertificateDates, hostapi.ErrNotEnrolled, hostapi.ErrNoCommonProtocol}

// expectReason checks that an error is HostUnreachable for one reason alone.
func expectReason(g *WithT, err, want error) {
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.HostUnreachable))
	for _, reason := range reasons {
		if want != nil && errors.Is(want, reason) {
			g.Expect(err).To(MatchError(reason))
		} else {
			g.Expect(err).NotTo(MatchError(reason))
		}
	}
}

func TestWhoIsNotTrustedIsToldFromWhoDoesNotAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, h *agenttest.Host) (hostclient.Target, *pki.ManagerIdentity)
		want   error
	}{
		"another key": {
			change: func(_ *testing.T, h *agenttest.Host) (hostclient.Target, *pki.ManagerIdentity) {
				target := h.Target
				target.Pin[0] ^= 1
				return target, h.Manager
			},
			want: hostapi.ErrCertificateMismatch,
		},
		"another name": {
			change: func(_ *testing.T, h *agenttest.Host) (hostclient.Target, *pki.ManagerIdentity) {
				target := h.Target
				target.Name = "host-2"
				return target, h.Manager
			},
			want: hostapi.ErrCertificateMismatch,
		},
		"another manager": {
			change: func(t *testing.T, h *agenttest.Host) (hostclient.Target, *pki.ManagerIdentity) {
				t.Helper()
				return h.Target, agenttest.NewManager(t, time.Now)
			},
			want: hostapi.ErrCertificateMismatch,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			driver := agenttest.NewDriver("hv-1")
			target, manager := test.change(t, agenttest.Start(t, agenttest.Options{Driver: driver}))
			client, err := hostclient.Dial(target, manager)
			g.Expect(err).NotTo(HaveOccurred())
			defer client.Close()
			_, err = client.EnsureVM(t.Context(), wanted("vm-1"))
			expectReason(g, err, test.want)
			g.Expect(driver.Calls()).To(BeEmpty())
		})
	}
}

func TestBeforeItsEnrolmentAnAgentServesNobody(t *testing.T) {
	g := NewWithT(t)
	host := agenttest.Start(t, agenttest.Options{Driver: agenttest.NewDriver("hv-1"), NotEnrolled: true})
	wrong := hostclient.Enrol(t.Context(), host.Target, host.Manager, pki.NewToken(), func(context.Context, pki.Pin) error {
		t.Error("a pin is recorded though the token was wrong")
		return nil
	})
	g.Expect(hostapi.ClassOf(wrong)).To(Equal(hostapi.HostUnreachable))
	g.Expect(errors.Is(wrong, pki.ErrProof)).To(BeTrue())

	// The manager may know the key already, from an enrolment that was cut off.
	identity := host.Target
	var pinned pki.Pin
	errCutOff := errors.New("the manager dies here")
	err := hostclient.Enrol(t.Context(), identity, host.Manager, host.Token, func(_ context.Context, pin pki.Pin) error {
		pinned = pin
		return errCutOff
	})
	g.Expect(errors.Is(err, errCutOff)).To(BeTrue())
	identity.Pin = pinned
	client, err := hostclient.Dial(identity, host.Manager)
	g.Expect(err).NotTo(HaveOccurred())
	defer client.Close()
	_, err = client.Hello(t.Context())
	expectReason(g, err, hostapi.ErrNotEnrolled)

	host.Enrol(t.Context())
	g.Eventually(func() error { _, err := client.Hello(t.Context()); return err }).
		WithTimeout(20 * time.Second).WithPolling(10 * time.Millisecond).Should(Succeed())
}

func TestRenewalIsTheWayOutOfExpiry(t *testing.T) {
	g := NewWithT(t)
	clock := agenttest.NewClock(time.Now())
	host := agenttest.Start(t, agenttest.Options{Driver: agenttest.NewDriver("hv-1"), Now: clock.Now})
	g.Expect(host.Client().NeedsRenewal(clock.Now())).To(BeFalse())
	clock.Advance(400 * 24 * time.Hour)
	host.Restart(nil)
	client := host.Client()

	_, err := client.Hello(t.Context())
	expectReason(g, err, hostapi.ErrCertificateDates)
	g.Expect(client.Renew(t.Context())).To(Succeed())
	g.Eventually(func() error { _, err := client.Hello(t.Context()); return err }).
		WithTimeout(20 * time.Second).WithPolling(10 * time.Millisecond).Should(Succeed())
}

func TestACertificateIsRenewedOnceBeforeItExpires(t *testing.T) {
	g := NewWithT(t)
	clock := agenttest.NewClock(time.Now())
	client := agenttest.Start(t, agenttest.Options{Driver: agenttest.NewDriver("hv-1"), Now: clock.Now}).Client()
	clock.Advance(pki.LeafLifetime * 5 / 6)
	g.Expect(client.NeedsRenewal(clock.Now())).To(BeTrue())
	g.Expect(client.Renew(t.Context())).To(Succeed())
	_, err := client.Hello(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(client.NeedsRenewal(clock.Now())).To(BeFalse(), "the connection shows the old certificate still")
}

func TestAPortThatIsNotAnAgentsIsUnreachable(t *testing.T) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
			_ = conn.Close()
		}
	}()
	client, err := hostclient.Dial(hostclient.Target{Address: listener.Addr().String(), Name: "host-1", Pin: pki.Pin{1}}, agenttest.NewManager(t, time.Now))
	g.Expect(err).NotTo(HaveOccurred())
	defer client.Close()
	_, err = client.Hello(t.Context())
	expectReason(g, err, nil)
}

func TestThePoolKeepsOneClientForEachHost(t *testing.T) {
	g := NewWithT(t)
	host := agenttest.Start(t, agenttest.Options{Driver: agenttest.NewDriver("hv-1")})
	pool := hostclient.NewPool(host.Manager, 2)
	t.Cleanup(pool.Close)
	get := func(name string, target hostclient.Target) *hostclient.Client {
		t.Helper()
		client, err := pool.Get(name, target)
		g.Expect(err).NotTo(HaveOccurred())
		return client
	}
	works := func(c *hostclient.Client) bool { _, err := c.Hello(t.Context()); return err == nil }

	first := get("a", host.Target)
	g.Expect(get("a", host.Target)).To(BeIdenticalTo(first))
	moved := host.Target
	moved.Name = "host-2"
	second := get("a", moved)
	g.Expect(second).NotTo(BeIdenticalTo(first))
	g.Expect(works(first)).To(BeFalse(), "its target is out of date")

	b, c := get("b", host.Target), get("c", host.Target)
	g.Expect(slices.ContainsFunc([]*hostclient.Client{b, c}, func(x *hostclient.Client) bool { return !works(x) })).To(BeFalse())
	g.Expect(get("a", moved)).NotTo(BeIdenticalTo(second), "it was asked for longest ago")
	g.Expect(works(b)).To(BeFalse())

	pool.Forget("c")
	_, err := c.Hello(t.Context())
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.HostUnreachable))
	pool.Forget("unheard-of")
}

func TestACallUnderWayIsFinishedThoughItsClientIsForgotten(t *testing.T) {
	g := NewWithT(t)
	driver := agenttest.NewDriver("hv-1")
	host := agenttest.Start(t, agenttest.Options{Driver: driver})
	pool := hostclient.NewPool(host.Manager, 1)
	client, err := pool.Get("a", host.Target)
	g.Expect(err).NotTo(HaveOccurred())
	gate := driver.Block("ListVMs")
	done := make(chan error, 1)
	go func() { _, err := client.ListVMs(t.Context()); done <- err }()
	gate.AwaitCall()
	pool.Close()
	gate.Open()
	g.Expect(<-done).To(Succeed())
}
