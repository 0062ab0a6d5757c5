package virtualmachine_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/hypervhost"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/controllers/virtualmachine"
	"github.com/capstan-k8s/capstan/controllers/vmimage"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/driver/simulated"
	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/fabric/guest/seed"
	"github.com/capstan-k8s/capstan/internal/hostclient"
	"github.com/capstan-k8s/capstan/internal/logs"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
	"github.com/capstan-k8s/capstan/internal/trust"
)

const (
	imageSource = `\\images.example\capstan\linux.vhdx`
	gib         = int64(1) << 30
)

// guests report the address that their seed gives them, and go on with it once
// the seed is gone, as a guest does that has written it to its disk.
type guests struct{}

type poweredGuest struct{}

func (guests) Start(_ context.Context, m fabric.Machine, report func(fabric.Report)) (fabric.Guest, error) {
	s, err := seed.Read(m.Seed, m.MACs)
	if err != nil {
		return nil, err
	}
	addresses := map[string][]string{}
	for i, nic := range s.NICs {
		for _, a := range nic.Addresses {
			addresses[m.MACs[i]] = append(addresses[m.MACs[i]], a.Addr().String())
		}
	}
	lines := consoles[m.Name]
	if slices.Contains(lines, noAddress) {
		addresses = nil
	}
	report(fabric.Report{Addresses: addresses, Console: lines})
	return poweredGuest{}, nil
}

func (poweredGuest) Stop() {}

func (poweredGuest) Link(bool) error { return nil }

// within carries requests to a handler in this process.
type within struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (w within) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// lab is a physical world with agents, and an API server with the controllers
// that turn one into the other.
type lab struct {
	*testenv.Env
	world  *fabric.World
	agents map[string]*agenttest.Host
	// log is that of the manager and of all agents.
	log    *logbook
	events *testenv.Recorder
	// reach is how the manager reaches agents, and installation what it stamps VMs with.
	reach        *hypervhost.Agents
	installation string
}

func newLab(t testing.TB, env *testenv.Env) *lab {
	topology := fabric.DefaultTopology(2, true)
	topology.Images = []fabricapi.PublishedImage{fabric.SimulatedImage(imageSource, "Linux", "v1.36.3", gib)}
	world, err := fabric.New(fabric.Options{
		Dir: t.TempDir(), Topology: topology, Clock: clock.RealClock{}, Guests: guests{},
		BootTime: 50 * time.Millisecond, StopTime: 10 * time.Millisecond,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(world.Close)
	l := &lab{Env: env, world: world, agents: map[string]*agenttest.Host{}, log: &logbook{}, events: &testenv.Recorder{}}
	env.Log = l.log.manager()

	pins := &trust.Pins{Client: env.Client, Live: env.Client}
	keeper := &trust.CAKeeper{Client: env.Client, Live: env.Client, Namespace: testenv.ManagerNamespace, Clock: clock.RealClock{}}
	identity, err := keeper.Identity(context.Background(), "manager", nil)
	Expect(err).NotTo(HaveOccurred())
	installation, err := trust.Installation(context.Background(), env.Client)
	Expect(err).NotTo(HaveOccurred())
	l.installation = installation
	pool := hostclient.NewPool(identity, 100, logs.HostCalls{})
	DeferCleanup(pool.Close)
	reach := &hypervhost.Agents{Pool: pool, Pins: pins, Namespace: testenv.ManagerNamespace}
	l.reach = reach

	env.RunReconcilers(GinkgoT(), func(mgr manager.Manager) []testenv.Reconciler {
		recorder := l.events
		return []testenv.Reconciler{
			&hypervhost.Reconciler{
				Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: recorder, Agents: reach, Manager: identity,
				Installation: installation, Clock: clock.RealClock{}, PollInterval: 200 * time.Millisecond,
			},
			&virtualmachine.Reconciler{
				Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: recorder, Hosts: reach,
				Installation: installation, Clock: clock.RealClock{},
				Census: &census.Taker{Live: mgr.GetAPIReader(), Hosts: reach, Clock: clock.RealClock{}}, HostLossTimeout: -1,
			},
			&vmimage.Reconciler{Client: mgr.GetClient(), Events: recorder},
			&ipam.ClaimReconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: recorder},
		}
	})
	for _, name := range []string{"hv1", "hv2"} {
		l.agents[name] = agenttest.Start(t, agenttest.Options{
			Driver: simulated.New(fabricapi.NewHostClient(within{world.Host(name).Handler()})),
			Name:   name, Manager: identity, NotEnrolled: true, Log: l.log.agent(name),
		})
	}
	return l
}

func (l *lab) create(objects ...client.Object) {
	GinkgoHelper()
	for _, obj := range objects {
		Expect(l.Client.Create(context.Background(), obj)).To(Succeed())
	}
}

func (l *lab) get(obj client.Object) func() error {
	return func() error { return l.Client.Get(context.Background(), client.ObjectKeyFromObject(obj), obj) }
}

// addHost makes the HyperVHost of an agent, with its token.
func (l *lab) addHost(name string, token pki.Token) *capstanv1.HyperVHost {
	GinkgoHelper()
	host := &capstanv1.HyperVHost{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       capstanv1.HyperVHostSpec{Endpoint: l.agents[name].Target.Address, EnrolmentTokenSecret: "token-" + name},
	}
	l.create(tokenSecret("token-"+name, token), host)
	return host
}

func tokenSecret(name string, token pki.Token) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: testenv.ManagerNamespace, Name: name},
		StringData: map[string]string{"token": token.Reveal()},
	}
}

func (l *lab) addImage(name, source string) *capstanv1.VMImage {
	published := fabric.SimulatedImage(source, "Linux", "v1.36.3", gib)
	image := &capstanv1.VMImage{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: capstanv1.VMImageSpec{
			OS: capstanv1.OSLinux, KubernetesVersion: "v1.36.3", Source: source, SHA256: published.SHA256,
			Size: *resource.NewQuantity(published.VirtualBytes, resource.BinarySI),
		},
	}
	l.create(image)
	return image
}

// addNetwork makes a network with the node addresses n.10 on, in a
// part of 127.0.0.0/8 that no other run on this machine is likely to use.
func (l *lab) addNetwork(name, third string, last string) *capstanv1.LogicalNetwork {
	prefix := fmt.Sprintf("127.%d.%s.", 20+os.Getpid()%40, third)
	network := &capstanv1.LogicalNetwork{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: capstanv1.LogicalNetworkSpec{
			Switch: fabric.DefaultSwitch,
			Subnets: []capstanv1.Subnet{{
				CIDR: prefix + "0/24", Gateway: prefix + "1",
				NodeRanges: []capstanv1.AddressRange{{Start: prefix + "10", End: prefix + last}},
				VIPRanges:  []capstanv1.AddressRange{{Start: prefix + "200", End: prefix + "201"}},
			}},
		},
	}
	l.create(network)
	return network
}

// vm makes a VM and its bootstrap data.
func (l *lab) vm(namespace, name string, with ...func(*capstanv1.VirtualMachine)) *capstanv1.VirtualMachine {
	GinkgoHelper()
	return l.vmOf(namespace, name, "#cloud-config\n{}\n", with...)
}

// vmOf makes a VM and the bootstrap data that it is given.
func (l *lab) vmOf(namespace, name, data string, with ...func(*capstanv1.VirtualMachine)) *capstanv1.VirtualMachine {
	GinkgoHelper()
	vm := &capstanv1.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: capstanv1.VirtualMachineSpec{
			ClusterName: "shop", Role: capstanv1.RoleWorker, OS: capstanv1.OSLinux, Image: "linux", BootstrapSecret: name,
			Size:     capstanv1.MachineSize{CPUs: 2, Memory: resource.MustParse("2Gi"), BootDisk: resource.MustParse("40Gi")},
			Networks: []capstanv1.VMNetwork{{LogicalNetwork: "lan"}},
		},
	}
	for _, w := range with {
		w(vm)
	}
	l.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		StringData: map[string]string{"value": data},
	}, vm)
	return vm
}

// update changes an object, whoever else writes it meanwhile.
func (l *lab) update(obj client.Object, change func()) {
	GinkgoHelper()
	Eventually(func() error {
		if err := l.get(obj)(); err != nil {
			return err
		}
		change()
		return l.Client.Update(context.Background(), obj)
	}).Should(Succeed())
}

func (l *lab) remove(obj client.Object) {
	GinkgoHelper()
	Expect(client.IgnoreNotFound(l.Client.Delete(context.Background(), obj))).To(Succeed())
}

// physical returns the VMs that bear the identity of vm, wherever they are.
func (l *lab) physical(vm *capstanv1.VirtualMachine) []fabricapi.VM {
	GinkgoHelper()
	world, err := l.world.Admin().World(context.Background(), fabricapi.None{})
	Expect(err).NotTo(HaveOccurred())
	var found []fabricapi.VM
	for _, site := range world.Sites {
		for _, v := range site.VMs {
			if v.Stamp != nil && v.Stamp.ID == vm.Spec.ID {
				found = append(found, v)
			}
		}
	}
	return found
}
