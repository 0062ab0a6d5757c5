package ipam

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

const (
	// here is what VMs of this management cluster are stamped with.
	here = "installation-of-the-test"
	// idOfVM is the identity of the VM that is called vm.
	idOfVM = "6d3f4c1e-0000-4000-8000-000000000001"
)

// agent is that of a host, which lists VMs, or fails to.
type agent struct {
	hostapi.Agent
	vms []hostapi.VM
	err error
}

// ListVMs implements hostapi.Driver.
func (a agent) ListVMs(context.Context) ([]hostapi.VM, error) { return a.vms, a.err }

// agents are those of all hosts, by name.
type agents map[string]agent

// Agent implements census.Hosts.
func (a agents) Agent(_ context.Context, host *capstanv1.HyperVHost) (hostapi.Agent, error) {
	return a[host.Name], nil
}

// keeper looks at network lan, whose clock a test moves and whose hosts answer as it says.
// Nobody sweeps hosts there.
type keeper struct {
	*NetworkReconciler
	*store
	clock *clocktesting.FakePassiveClock
	hosts agents
	told  *testenv.Recorder
	// asked is how often hosts were asked, or somebody else's answers.
	asked int
}

// asking counts how often hosts are asked.
type asking struct {
	*census.Taker
	times *int
}

// Since implements Census.
func (a asking) Since(ctx context.Context, moment time.Time) (*census.Census, error) {
	*a.times++
	return a.Taker.Since(ctx, moment)
}

func newKeeper(t *testing.T, objects ...client.Object) *keeper {
	t.Helper()
	k := &keeper{
		store: newStore(t, append(objects, testenv.NewLogicalNetwork("lan"))...), clock: clocktesting.NewFakePassiveClock(time.Unix(1000, 0)),
		hosts: agents{}, told: &testenv.Recorder{},
	}
	k.NetworkReconciler = &NetworkReconciler{
		Client: k.store, Live: k.store, Events: k.told, Clock: k.clock, Installation: here,
		Census: asking{&census.Taker{Live: k.store, Hosts: k.hosts, Clock: k.clock}, &k.asked},
		writer: &conditions.Writer{Client: k.store, Summary: capstanv1.ReadyCondition},
	}
	return k
}

// look has the network looked at, and returns it and when it is to be looked at again.
func (k *keeper) look(t *testing.T) (*capstanv1.LogicalNetwork, time.Duration) {
	t.Helper()
	g, network := NewWithT(t), &capstanv1.LogicalNetwork{}
	key := client.ObjectKey{Name: "lan"}
	result, err := k.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(k.Get(t.Context(), key, network)).To(Succeed())
	return network, result.RequeueAfter
}

// wait lets time go by, with a look after it.
func (k *keeper) wait(t *testing.T, d time.Duration) (*capstanv1.LogicalNetwork, time.Duration) {
	t.Helper()
	k.clock.SetTime(k.clock.Now().Add(d))
	return k.look(t)
}

// left is something that is held for a claim of namespace team that is gone.
func left(address, claim string, user *capstanv1.UserReference, with ...func(*capstanv1.AddressReservation)) *capstanv1.AddressReservation {
	name, err := addresspool.ReservationNameOf("lan", address)
	if err != nil {
		panic(err)
	}
	r := &capstanv1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: metav1.Unix(500, 0)}}
	r.Spec = capstanv1.AddressReservationSpec{
		LogicalNetwork: "lan", Address: address, ClaimRef: capstanv1.ClaimReference{Namespace: "team", Name: claim, UID: "team/" + claim}, UserRef: user,
	}
	for _, f := range with {
		f(r)
	}
	return r
}

func ofVM() *capstanv1.AddressReservation {
	return left("10.20.0.10", "vm-0", &capstanv1.UserReference{Kind: "VirtualMachine", Name: "vm", UID: "uid-of-vm", VMID: idOfVM})
}

// unowned is of a time when nobody wrote down whom an address was for.
func unowned() *capstanv1.AddressReservation { return left("10.20.0.10", "vm-0", nil) }

func ofBalancer(address, claim string) *capstanv1.AddressReservation {
	return left(address, claim, &capstanv1.UserReference{Kind: "LoadBalancer", Name: "shop", UID: "uid-of-shop"})
}

func vmObject(namespace, name string, uid types.UID, with ...func(*capstanv1.VirtualMachine)) *capstanv1.VirtualMachine {
	vm := &capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: uid}}
	for _, f := range with {
		f(vm)
	}
	return vm
}

func balancer(name string, uid types.UID, with ...func(*capstanv1.LoadBalancer)) *capstanv1.LoadBalancer {
	lb := &capstanv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: uid}}
	lb.Spec.LogicalNetwork = "lan"
	for _, f := range with {
		f(lb)
	}
	return lb
}

func tombstone(with ...func(*capstanv1.Tombstone)) *capstanv1.Tombstone {
	t := &capstanv1.Tombstone{ObjectMeta: metav1.ObjectMeta{Name: "tomb"}}
	t.Spec = capstanv1.TombstoneSpec{ID: "another", VMRef: capstanv1.VMReference{Namespace: "team", Name: "another"}, Host: "hv1"}
	for _, f := range with {
		f(t)
	}
	return t
}

func holding(address string) func(*capstanv1.Tombstone) {
	return func(t *capstanv1.Tombstone) {
		t.Spec.Addresses = []capstanv1.ReservedAddress{{LogicalNetwork: "lan", Address: address}}
	}
}

func honoured(t *capstanv1.Tombstone) {
	t.Annotations = map[string]string{capstanv1.HonouredAnnotation: "true"}
}

// answering is a host that answers.
func answering(name string, with ...func(*capstanv1.HyperVHost)) *capstanv1.HyperVHost {
	h := testenv.NewHyperVHost(name, with...)
	conditions.True(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "")
	return h
}
