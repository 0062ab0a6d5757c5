package orphan

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/driver/simulated"
	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
)

// here is what this management cluster stamps its VMs with.
const here = "installation-of-the-spec"

// within carries requests to a handler in this process.
type within struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (w within) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// site is hosts with real agents on simulated hardware, hv1 alone, hv2 and hv3 in the
// failover cluster fc1, and a sweep of them, whose clock a spec moves.
type site struct {
	*Reconciler
	namespace string
	world     *fabric.World
	agents    map[string]*agenttest.Host
	clock     *clocktesting.FakePassiveClock
	events    *testenv.Recorder
	live      *hookedReader
}

func newSite(ctx context.Context, change ...func(*Policy)) *site {
	GinkgoHelper()
	volumes := []fabric.VolumeSpec{{Name: "csv1", SizeGiB: 1024}, {Name: "csv2", SizeGiB: 1024}}
	host := func(name string, own []fabric.VolumeSpec) fabric.HostSpec {
		return fabric.HostSpec{Name: name, Processors: 64, MemoryMiB: 1 << 18, Switches: []string{fabric.DefaultSwitch}, Volumes: own}
	}
	// A spec's own directory has too long a name for a socket.
	dir, err := os.MkdirTemp("", "fabric")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	world, err := fabric.New(fabric.Options{
		Dir: dir, Clock: clock.RealClock{}, Guests: fabric.NoGuests{}, FailoverDelay: time.Hour,
		Topology: fabric.Topology{
			Hosts:            []fabric.HostSpec{host("hv1", volumes), host("hv2", nil), host("hv3", nil)},
			FailoverClusters: []fabric.ClusterSpec{{Name: "fc1", Hosts: []string{"hv2", "hv3"}, Volumes: volumes}},
		},
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(world.Close)
	s := &site{
		namespace: env.Namespace(ctx, GinkgoT()), world: world, agents: map[string]*agenttest.Host{},
		clock: clocktesting.NewFakePassiveClock(time.Now()), events: &testenv.Recorder{}, live: &hookedReader{Reader: env.Client},
	}
	manager := agenttest.NewManager(GinkgoTB(), time.Now)
	for name, cluster := range map[string]string{"hv1": "", "hv2": "fc1", "hv3": "fc1"} {
		s.agents[name] = agenttest.Start(GinkgoTB(), agenttest.Options{
			Driver: simulated.New(fabricapi.NewHostClient(within{world.Host(name).Handler()})), Name: name, Manager: manager,
		})
		host := &capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: capstanv1.HyperVHostSpec{Endpoint: s.agents[name].Target.Address}}
		env.Create(ctx, host)
		testenv.UpdateStatus(ctx, env, host, func(h *capstanv1.HyperVHost) {
			h.Status.FailoverCluster, h.Status.Agent = cluster, &capstanv1.HostAgent{HostName: name}
			conditions.True(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "")
		})
	}
	// Another VM of the namespace, so that nothing looks as if objects had been lost.
	env.Create(ctx, s.object("stays"))
	s.restart(change...)
	return s
}

// restart begins a new life of the sweep, as another manager does that takes over.
func (s *site) restart(change ...func(*Policy)) {
	policy := DefaultPolicy()
	policy.Removal = RemoveAll
	for _, c := range change {
		c(&policy)
	}
	s.Reconciler = &Reconciler{
		Client: env.Client, Live: s.live, Events: s.events, Hosts: s, Installation: here, Clock: s.clock, Policy: policy,
		Census: &census.Taker{Live: s.live, Hosts: s, Clock: s.clock},
	}
	s.prepare()
}

// Agent implements Hosts.
func (s *site) Agent(_ context.Context, host *capstanv1.HyperVHost) (hostapi.Agent, error) {
	return s.agents[host.Name].Client(), nil
}

// sweep sweeps once and returns when the next sweep is due.
func (s *site) sweep(ctx context.Context) time.Duration {
	GinkgoHelper()
	result, err := s.Reconcile(ctx, everything)
	Expect(err).NotTo(HaveOccurred())
	return result.RequeueAfter
}

// pass lets a grace period go by, with a sweep after it.
func (s *site) pass(ctx context.Context) {
	GinkgoHelper()
	s.clock.SetTime(s.clock.Now().Add(s.Policy.Grace + time.Second))
	s.sweep(ctx)
}

// object is a VirtualMachine as the API server has it.
func (s *site) object(name string) *capstanv1.VirtualMachine {
	return &capstanv1.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
		Spec: capstanv1.VirtualMachineSpec{
			ClusterName: "shop", Role: capstanv1.RoleWorker, OS: capstanv1.OSLinux, Image: "linux",
			Size:     capstanv1.MachineSize{CPUs: 2, Memory: resource.MustParse("2Gi"), BootDisk: resource.MustParse("40Gi")},
			Networks: []capstanv1.VMNetwork{{LogicalNetwork: "lan"}},
		},
	}
}

// stray makes a VM on a host for which there is no object.
func (s *site) stray(ctx context.Context, host string, change ...func(*hostapi.EnsureVMRequest)) hostapi.VMID {
	GinkgoHelper()
	id := hostapi.VMID(uuid.NewUUID())
	req := hostapi.EnsureVMRequest{
		Stamp: hostapi.Stamp{Installation: here, ID: id}, Name: "stray", Owner: s.namespace + "/stray", OS: hostapi.Linux,
		Processors: 1, MemoryMiB: 512, Power: hostapi.PowerOff,
		Disks: []hostapi.Disk{{Name: "boot", Volume: "csv1", Bytes: 1 << 30}, {Name: "data", Volume: "csv2", Bytes: 1 << 30}},
	}
	for _, c := range change {
		c(&req)
	}
	Eventually(func() (*hostapi.Operation, error) {
		vm, err := s.agents[host].Client().EnsureVM(ctx, req)
		return vm.Operation, err
	}).Should(BeNil())
	return id
}

// strays makes some VMs without objects.
func (s *site) strays(ctx context.Context, host string, n int) (ids []hostapi.VMID) {
	GinkgoHelper()
	for range n {
		ids = append(ids, s.stray(ctx, host))
	}
	return ids
}

// unmake takes a VM away by hand and leaves its disks.
func (s *site) unmake(ctx context.Context, id hostapi.VMID) {
	GinkgoHelper()
	_, err := s.world.Admin().RemoveVM(ctx, fabricapi.VMRef{GUID: s.guid(ctx, id)})
	Expect(err).NotTo(HaveOccurred())
}

// remains returns what there is of a VM anywhere: VMs, files and roles.
func (s *site) remains(ctx context.Context, id hostapi.VMID) func() []string {
	return func() []string {
		GinkgoHelper()
		world, err := s.world.Admin().World(ctx, fabricapi.None{})
		Expect(err).NotTo(HaveOccurred())
		var all []string
		is := func(stamp *fabricapi.Stamp) bool { return stamp != nil && stamp.ID == string(id) }
		for _, place := range world.Sites {
			for _, vm := range place.VMs {
				if is(vm.Stamp) {
					all = append(all, "VM "+vm.GUID)
				}
			}
			for _, file := range place.Files {
				if is(file.Stamp) {
					all = append(all, "file "+file.Path)
				}
			}
			for _, role := range place.Roles {
				if is(role.Stamp) {
					all = append(all, "role "+role.Name)
				}
			}
		}
		return all
	}
}

func (s *site) host(ctx context.Context, name string) *capstanv1.HyperVHost {
	GinkgoHelper()
	host := &capstanv1.HyperVHost{}
	Expect(env.Client.Get(ctx, client.ObjectKey{Name: name}, host)).To(Succeed())
	return host
}

// reported returns what the status of a host says of an orphan, or nil.
func (s *site) reported(ctx context.Context, name string, id hostapi.VMID) *capstanv1.HostOrphan {
	GinkgoHelper()
	host := s.host(ctx, name)
	for i := range host.Status.Orphans {
		if host.Status.Orphans[i].ID == string(id) {
			return &host.Status.Orphans[i]
		}
	}
	return nil
}

// condition returns what the status of a host says of all orphans.
func (s *site) condition(ctx context.Context, name string) metav1.Condition {
	GinkgoHelper()
	c := conditions.Get(s.host(ctx, name), capstanv1.FreeOfOrphansCondition)
	Expect(c).NotTo(BeNil())
	return *c
}

// told returns the reasons of the events of a host.
func (s *site) told(ctx context.Context, name string) []string {
	GinkgoHelper()
	return s.events.Reasons(s.host(ctx, name).UID)
}

// acknowledge does what the message of the condition asks an administrator to do.
func (s *site) acknowledge(ctx context.Context, name, token string) {
	GinkgoHelper()
	testenv.Update(ctx, env, s.host(ctx, name), func(h *capstanv1.HyperVHost) {
		metav1.SetMetaDataAnnotation(&h.ObjectMeta, capstanv1.RemoveOrphansAnnotation, token)
	})
}

// token returns the one that the condition of a host names.
func (s *site) token(ctx context.Context, name string) string {
	GinkgoHelper()
	token := tokenOf(s.host(ctx, name).Status.Orphans)
	Expect(token).NotTo(BeEmpty())
	Expect(s.condition(ctx, name).Message).To(ContainSubstring(
		fmt.Sprintf("kubectl annotate --overwrite hypervhost %s %s=%s", name, capstanv1.RemoveOrphansAnnotation, token)))
	return token
}

// move moves a VM to another host of its failover cluster.
func (s *site) move(ctx context.Context, id hostapi.VMID, to string) {
	GinkgoHelper()
	_, err := s.world.Admin().MoveVM(ctx, fabricapi.MoveVMRequest{GUID: s.guid(ctx, id), Host: to})
	Expect(err).NotTo(HaveOccurred())
}

// guid is what the hypervisor calls a VM.
func (s *site) guid(ctx context.Context, id hostapi.VMID) string {
	GinkgoHelper()
	world, err := s.world.Admin().World(ctx, fabricapi.None{})
	Expect(err).NotTo(HaveOccurred())
	for _, place := range world.Sites {
		for _, vm := range place.VMs {
			if vm.Stamp != nil && vm.Stamp.ID == string(id) {
				return vm.GUID
			}
		}
	}
	Fail("there is no VM " + string(id))
	return ""
}
