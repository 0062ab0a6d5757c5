package virtualmachine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
)

var errDead = errors.New("the manager is dead")

// mortal is the world as a manager sees it that dies at an effect, on the API server or
// on a host: between two of them nothing it does matters to anybody.
type mortal struct {
	client.WithWatch
	hostapi.Agent
	*GomegaWithT
	vm     client.ObjectKey
	driver *agenttest.Driver
	// dies is the effect that the manager dies at, counted from 1, or 0 for never; done is
	// whether that effect came about; effects is how many there were.
	dies, effects int
	done          bool
}

// newMortal returns a host that answers, and what a VM needs.
func newMortal(t *testing.T) *mortal {
	t.Helper()
	m := &mortal{GomegaWithT: NewWithT(t), driver: agenttest.NewDriver("hv1"), vm: client.ObjectKey{Namespace: "team", Name: "vm"}}
	running, err := agent.New(agent.Config{Driver: m.driver, DriverName: "agenttest", StateDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	m.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { m.Expect(running.Close(context.Background())).To(Succeed()) })
	_, err = running.Bury(t.Context(), nil)
	m.Expect(err).NotTo(HaveOccurred())
	m.Agent = running

	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, capstanv1.AddToScheme, clusterv1.AddToScheme, ipamv1.AddToScheme} {
		m.Expect(add(scheme)).To(Succeed())
	}
	host := testenv.NewHyperVHost("hv1")
	host.Status.Volumes[0].Name = "csv1"
	conditions.True(host, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "")
	m.WithWatch = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&capstanv1.VirtualMachine{}).WithObjects(
		host, testenv.NewLogicalNetwork("lan"), testenv.NewVMImage("linux", testenv.Version),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vm"}, Data: map[string][]byte{bootstrapKey: []byte("#cloud-config\n{}\n")}},
	).Build()
	return m
}

// effect brings an effect about, unless the manager dies before.
func (m *mortal) effect(do func() error) error {
	m.effects++
	if m.dies == 0 || m.effects < m.dies {
		return do()
	}
	if m.effects == m.dies && m.done {
		_ = do()
	}
	return errDead
}

func (m *mortal) dead() bool { return m.dies > 0 && m.effects >= m.dies }

// client is that of a manager.
func (m *mortal) client() client.Client {
	return interceptor.NewClient(m.WithWatch, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			obj.SetUID(types.UID(fmt.Sprintf("%s made at effect %d", obj.GetName(), m.effects)))
			return m.effect(func() error { return c.Create(ctx, obj, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return m.effect(func() error { return c.Patch(ctx, obj, patch, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			return m.effect(func() error { return c.Delete(ctx, obj, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return m.effect(func() error { return c.SubResource(name).Patch(ctx, obj, patch, opts...) })
		},
	})
}

// mortalHosts are how a manager reaches the agent, on which it has effects, too.
type mortalHosts struct{ *mortal }

func (h mortalHosts) Agent(context.Context, *capstanv1.HyperVHost) (hostapi.Agent, error) {
	return mortalAgent(h), nil
}

func (h mortalHosts) ObservedAt(string) time.Time { return time.Time{} }

type mortalAgent struct{ *mortal }

// GetVM tells of a guest that answers as soon as it runs.
func (a mortalAgent) GetVM(ctx context.Context, id hostapi.VMID) (hostapi.VM, error) {
	vm, err := a.Agent.GetVM(ctx, id)
	if err == nil && vm.State == hostapi.StateRunning {
		vm.Heartbeat, vm.NICs = hostapi.HeartbeatOK, []hostapi.NICStatus{{Addresses: []string{"10.20.0.10"}}}
	}
	return vm, err
}

// EnsureVM has recorded who the VM is, and where, before.
func (a mortalAgent) EnsureVM(ctx context.Context, req hostapi.EnsureVMRequest) (vm hostapi.VM, err error) {
	recorded := &capstanv1.VirtualMachine{}
	a.Expect(a.Get(ctx, a.vm, recorded)).To(Succeed())
	a.Expect(recorded.Spec.ID).To(BeEquivalentTo(req.Stamp.ID))
	a.Expect(recorded.Spec.Placement).NotTo(BeNil())
	a.Expect(recorded.Finalizers).To(ContainElement(capstanv1.VirtualMachineFinalizer))
	failed := a.effect(func() error { vm, err = a.Agent.EnsureVM(ctx, req); return err })
	return vm, failed
}

func (a mortalAgent) StageImage(ctx context.Context, req hostapi.StageImageRequest) (image hostapi.Image, err error) {
	failed := a.effect(func() error { image, err = a.Agent.StageImage(ctx, req); return err })
	return image, failed
}

func (a mortalAgent) SetPower(ctx context.Context, req hostapi.SetPowerRequest) (vm hostapi.VM, err error) {
	failed := a.effect(func() error { vm, err = a.Agent.SetPower(ctx, req); return err })
	return vm, failed
}

func (a mortalAgent) DeleteVM(ctx context.Context, req hostapi.DeleteVMRequest) error {
	return a.effect(func() error { return a.Agent.DeleteVM(ctx, req) })
}

// manager is one that begins now: it remembers nothing.
func (m *mortal) manager() *Reconciler {
	r := &Reconciler{
		Client: m.client(), Live: m.WithWatch, Events: &testenv.Recorder{}, Hosts: mortalHosts{m}, Installation: "here",
		Clock: clocktesting.NewFakePassiveClock(noon),
	}
	r.prepare()
	return r
}

// answerClaims does what IPAM does: it gives each claim an address, and lets it go once
// nobody else holds on to it.
func (m *mortal) answerClaims(ctx context.Context) {
	claims := &ipamv1.IPAddressClaimList{}
	m.Expect(m.List(ctx, claims)).To(Succeed())
	m.Expect(len(claims.Items)).To(BeNumerically("<=", 1), "one VM asks for one address")
	for i := range claims.Items {
		claim := &claims.Items[i]
		address := &ipamv1.IPAddress{ObjectMeta: metav1.ObjectMeta{
			Namespace: claim.Namespace, Name: claim.Name, OwnerReferences: []metav1.OwnerReference{{APIVersion: "x/v1", Kind: "IPAddressClaim", Name: claim.Name, UID: claim.UID, Controller: ptr.To(true)}},
		}, Spec: ipamv1.IPAddressSpec{Address: "10.20.0.10"}}
		if claim.DeletionTimestamp.IsZero() {
			err := m.Create(ctx, address)
			m.Expect(err == nil || apierrors.IsAlreadyExists(err)).To(BeTrue(), "%v", err)
			continue
		}
		if len(claim.Finalizers) == 1 {
			m.Expect(client.IgnoreNotFound(m.Delete(ctx, address))).To(Succeed())
			claim.Finalizers = nil
			m.Expect(m.Update(ctx, claim)).To(Succeed())
		}
	}
}

// vms are those that the host has.
func (m *mortal) vms(ctx context.Context) []hostapi.VM {
	vms, err := m.ListVMs(ctx)
	m.Expect(err).NotTo(HaveOccurred())
	return vms
}

// until has managers look at the VM until something is so. A manager that dies is
// followed by another.
func (m *mortal) until(ctx context.Context, r *Reconciler, isSo func(*capstanv1.VirtualMachine) bool) *Reconciler {
	var last *capstanv1.VirtualMachine
	for range 50 {
		_, err := r.Reconcile(ctx, ctrl.Request{NamespacedName: m.vm})
		switch {
		case m.dead():
			m.dies = 0
			r = m.manager()
		case err != nil:
			m.Expect(apierrors.IsConflict(err)).To(BeTrue(), "a manager that lives: %v", err)
		}
		m.answerClaims(ctx)
		m.Expect(len(m.vms(ctx))).To(BeNumerically("<=", 1), "one VM is made once")
		vm := &capstanv1.VirtualMachine{}
		if err := m.Get(ctx, m.vm, vm); apierrors.IsNotFound(err) {
			m.Expect(m.vms(ctx)).To(BeEmpty(), "nobody knows of it any more")
			vm = nil
		} else {
			m.Expect(err).NotTo(HaveOccurred())
		}
		if last = vm; isSo(vm) {
			return r
		}
	}
	m.Expect(last).To(Satisfy(isSo), "it does not come to that")
	return nil
}

// newVM is the VM, before anybody has seen it.
func (m *mortal) newVM() *capstanv1.VirtualMachine {
	vm := machine(m.vm.Name)
	vm.UID = "0d3e4ad8-8d37-4d70-a8a5-6e28f4b9d6f1"
	vm.Spec.ClusterName, vm.Spec.OS, vm.Spec.Image, vm.Spec.BootstrapSecret = "shop", capstanv1.OSLinux, "linux", "vm"
	vm.Spec.Networks = []capstanv1.VMNetwork{{LogicalNetwork: "lan"}}
	return vm
}

// live tells the life of a VM that is there: it is made, becomes a node, and is deleted.
func (m *mortal) live(ctx context.Context) {
	vm := m.newVM()
	r := m.until(ctx, m.manager(), func(vm *capstanv1.VirtualMachine) bool {
		return vm != nil && conditions.IsTrue(vm, capstanv1.ReadyCondition)
	})
	m.Expect(m.vms(ctx)).To(HaveExactElements(And(HaveField("Stamp.ID", BeEquivalentTo(vm.UID)), HaveField("State", hostapi.StateRunning))))

	m.Expect(m.Get(ctx, m.vm, vm)).To(Succeed())
	vm.Spec.RetireSeed = true
	m.Expect(m.Update(ctx, vm)).To(Succeed())
	r = m.until(ctx, r, func(vm *capstanv1.VirtualMachine) bool {
		return vm != nil && conditions.IsTrue(vm, capstanv1.SeedRetiredCondition)
	})
	m.Expect(m.vms(ctx)).To(HaveExactElements(HaveField("SeedAttached", false)))

	m.Expect(m.Delete(ctx, vm)).To(Succeed())
	m.until(ctx, r, func(vm *capstanv1.VirtualMachine) bool { return vm == nil })
	claims := &ipamv1.IPAddressClaimList{}
	m.Expect(m.List(ctx, claims)).To(Succeed())
	m.Expect(claims.Items).To(BeEmpty(), "its address is free")
}

func TestAManagerIsKilledAtAnyLine(t *testing.T) {
	undisturbed := newMortal(t)
	undisturbed.Expect(undisturbed.Create(t.Context(), undisturbed.newVM())).To(Succeed())
	undisturbed.live(t.Context())
	undisturbed.Expect(undisturbed.effects).To(BeNumerically(">", 10))
	for _, done := range []bool{false, true} {
		for at := 1; at <= undisturbed.effects; at++ {
			t.Run(fmt.Sprintf("at effect %d of %d, which came about: %t", at, undisturbed.effects, done), func(t *testing.T) {
				m := newMortal(t)
				m.dies, m.done = at, done
				m.Expect(m.Create(t.Context(), m.newVM())).To(Succeed())
				m.live(t.Context())
				m.Expect(m.dies).To(BeZero(), "it has died")
			})
		}
	}
}
