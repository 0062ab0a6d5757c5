package controllers

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/hypervhost"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/controllers/loadbalancer"
	"github.com/capstan-k8s/capstan/internal/fabric/lbguest"
	"github.com/capstan-k8s/capstan/internal/hostclient"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/outage"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
	"github.com/capstan-k8s/capstan/internal/trust"
)

// boot is how long anything may take once the power is back.
const boot = time.Minute

// site is all that has power: the manager, a host with its agent, a VM with the agent of
// a load balancer. What lies on disks, and in etcd, outlives it.
type site struct {
	*GomegaWithT
	env   *testenv.Env
	clock *testenv.LeapingClock

	host  *capstanv1.HyperVHost
	agent *agenttest.Host

	lb      *capstanv1.LoadBalancer
	config  *lbapi.LBConfig
	disk    string
	segment *lbguest.Segment
	guest   *lbguest.Guest
}

// powerOn starts the agents and a manager, which knows nothing but what it reads, until
// the test ends.
func (s *site) powerOn(t *testing.T) {
	t.Helper()
	s.GomegaWithT = NewWithT(t)
	s.agent.Restart(nil)
	t.Cleanup(s.agent.Stop)
	if s.config != nil {
		s.bootGuest(t)
	}
	pins := &trust.Pins{Client: s.env.Client, Live: s.env.Client}
	keeper := &trust.CAKeeper{Client: s.env.Client, Live: s.env.Client, Namespace: testenv.ManagerNamespace, Clock: s.clock}
	identity, err := keeper.Identity(t.Context(), managerName, nil)
	s.Expect(err).NotTo(HaveOccurred())
	pool := hostclient.NewPool(identity, maxHostConnections)
	t.Cleanup(pool.Close)
	s.env.RunReconcilers(t, func(mgr manager.Manager) []testenv.Reconciler {
		return []testenv.Reconciler{
			&ipam.ClaimReconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("capstan")},
			&hypervhost.Reconciler{
				Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("capstan"), Manager: identity, Installation: "here", Clock: s.clock,
				Agents: &hypervhost.Agents{Pool: pool, Pins: pins, Namespace: testenv.ManagerNamespace}, PollInterval: 100 * time.Millisecond,
			},
			&loadbalancer.Reconciler{
				Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("capstan"), Manager: identity, Pins: pins,
				Clock: s.clock, Random: utilrand.String, Outages: outage.NewWatch(outage.Timeouts{}),
			},
		}
	})
}

// bootGuest boots the load balancer's VM from its disk.
func (s *site) bootGuest(t *testing.T) {
	t.Helper()
	guest, err := lbguest.Start(lbguest.Options{
		Config: *s.config, Dir: s.disk, Version: "test", Segment: s.segment, Clock: s.clock, Log: slog.New(slog.DiscardHandler),
	})
	s.Expect(err).NotTo(HaveOccurred())
	s.guest = guest
	t.Cleanup(guest.Stop)
}

// install makes host and load balancer known, each with its one-time token, and boots the
// VM of the latter as a host would.
func (s *site) install(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	prefix := fmt.Sprintf("127.%d.7.", 128+os.Getpid()%120)
	s.host = &capstanv1.HyperVHost{
		ObjectMeta: metav1.ObjectMeta{Name: "hv1"},
		Spec:       capstanv1.HyperVHostSpec{Endpoint: s.agent.Target.Address, EnrolmentTokenSecret: "token"},
	}
	s.lb = &capstanv1.LoadBalancer{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.env.Namespace(ctx, t), Name: "shop"},
		Spec: capstanv1.LoadBalancerSpec{
			ClusterName: "shop", LogicalNetwork: "lan", Image: "linux", Replicas: ptr.To(int32(1)), APIServerPort: 6443, Size: testenv.NewSize(2, "2Gi", "20Gi"),
		},
	}
	for _, obj := range []client.Object{
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: testenv.ManagerNamespace, Name: "token"},
			StringData: map[string]string{"token": s.agent.Token.Reveal()},
		},
		s.host, s.lb,
		testenv.NewLogicalNetwork("lan", func(n *capstanv1.LogicalNetwork) {
			n.Spec.Subnets[0] = capstanv1.Subnet{
				CIDR:       prefix + "0/24",
				NodeRanges: []capstanv1.AddressRange{{Start: prefix + "10", End: prefix + "99"}},
				VIPRanges:  []capstanv1.AddressRange{{Start: prefix + "100", End: prefix + "100"}},
			}
		}),
	} {
		s.Expect(s.env.Client.Create(ctx, obj)).To(Succeed())
	}
	vms := &capstanv1.VirtualMachineList{}
	s.eventually(ctx, func(g Gomega) {
		g.Expect(s.env.Client.List(ctx, vms, client.InNamespace(s.lb.Namespace))).To(Succeed())
		g.Expect(vms.Items).To(HaveLen(1))
	})
	vm := &vms.Items[0]
	s.say(ctx, vm, func() { vm.Status.Addresses, vm.Status.Host = []string{prefix + "10"}, "hv1" })
	secret := &corev1.Secret{}
	s.eventually(ctx, func(g Gomega) {
		g.Expect(s.env.Client.Get(ctx, client.ObjectKey{Namespace: vm.Namespace, Name: vm.Name + "-bootstrap"}, secret)).To(Succeed())
	})
	config, err := lbapi.ParseLBConfig(secret.Data["value"])
	s.Expect(err).NotTo(HaveOccurred())
	s.config = &config
	s.bootGuest(t)
	s.say(ctx, vm, func() {
		vm.Status.Phase, vm.Status.SeedHash = capstanv1.VMRunning, "made"
		vm.Status.Conditions = []metav1.Condition{{Type: capstanv1.ReadyCondition, Status: metav1.ConditionTrue, Reason: capstanv1.ReasonReady, LastTransitionTime: metav1.Now()}}
	})
}

// say writes the status of a VM, as its host's controller would.
func (s *site) say(ctx context.Context, vm *capstanv1.VirtualMachine, change func()) {
	before := vm.DeepCopy()
	change()
	s.Expect(s.env.Client.Status().Patch(ctx, vm, client.MergeFrom(before))).To(Succeed())
}

func (s *site) eventually(ctx context.Context, isSo func(g Gomega)) {
	s.Eventually(isSo).WithContext(ctx).WithTimeout(boot).WithPolling(20 * time.Millisecond).Should(Succeed())
}

// works holds when the manager has spoken with both agents since the power came back.
func (s *site) works(ctx context.Context, since time.Time) {
	s.eventually(ctx, func(g Gomega) {
		g.Expect(s.env.Client.Get(ctx, client.ObjectKeyFromObject(s.host), s.host)).To(Succeed())
		g.Expect(meta.FindStatusCondition(s.host.Status.Conditions, capstanv1.ReadyCondition)).To(HaveValue(HaveField("Status", metav1.ConditionTrue)))
		g.Expect(s.host.Status.Agent.LastAnswerTime.Time).To(BeTemporally(">=", since.Truncate(time.Second)))
	})
	// What only an agent that is spoken with can put in force.
	before := s.lb.DeepCopy()
	s.lb.Spec.APIServerPort++
	s.Expect(s.env.Client.Patch(ctx, s.lb, client.MergeFrom(before))).To(Succeed())
	s.eventually(ctx, func(g Gomega) {
		g.Expect(s.env.Client.Get(ctx, client.ObjectKeyFromObject(s.lb), s.lb)).To(Succeed())
		ready := meta.FindStatusCondition(s.lb.Status.Conditions, capstanv1.ReadyCondition)
		g.Expect(ready).To(HaveValue(And(HaveField("Status", metav1.ConditionTrue), HaveField("ObservedGeneration", s.lb.Generation))))
	})
}

// secrets are the manager's own, by their names.
func (s *site) secrets(ctx context.Context) map[string]map[string][]byte {
	list := &corev1.SecretList{}
	s.Expect(s.env.Client.List(ctx, list)).To(Succeed())
	all := map[string]map[string][]byte{}
	for i := range list.Items {
		if list.Items[i].Labels[trust.Label] != "" {
			all[list.Items[i].Name] = list.Items[i].Data
		}
	}
	return all
}

// TestAllIsOffForMonths takes the power from everything, for longer than any certificate
// lasts, and gives it back. Nobody enters a token or touches a Secret: each knows the
// others by their keys.
func TestAllIsOffForMonths(t *testing.T) {
	s := &site{env: testenv.Start(t), clock: &testenv.LeapingClock{}, disk: t.TempDir()}
	s.segment = lbguest.NewSegment(s.clock)
	s.agent = agenttest.Start(t, agenttest.Options{Driver: agenttest.NewDriver("hv1"), Name: "hv1", Now: s.clock.Now, NotEnrolled: true})
	s.agent.Stop()
	var known map[string]map[string][]byte
	t.Run("it is installed", func(t *testing.T) {
		s.powerOn(t)
		s.install(t)
		s.works(t.Context(), time.Time{})
		known = s.secrets(t.Context())
		s.Expect(known).To(HaveLen(3), "the CA, and what two agents are known by")
		err := s.env.Client.Get(t.Context(), client.ObjectKey{Namespace: testenv.ManagerNamespace, Name: "token"}, &corev1.Secret{})
		s.Expect(client.IgnoreNotFound(err)).To(Succeed())
		s.Expect(err).To(HaveOccurred(), "the token is spent")
	})
	for _, off := range []struct {
		name string
		long time.Duration
		// renewed tells that the CA's own certificate has run out as well.
		renewed bool
	}{
		{"400 days", 400 * 24 * time.Hour, false},
		{"twelve years", 12 * 365 * 24 * time.Hour, true},
	} {
		t.Run("and off for "+off.name, func(t *testing.T) {
			s.clock.Leap(off.long)
			began := s.clock.Now()
			s.powerOn(t)
			same := bytes.Equal(s.secrets(t.Context())[trust.CASecret][corev1.TLSCertKey], known[trust.CASecret][corev1.TLSCertKey])
			s.Expect(same).To(Equal(!off.renewed))
			s.works(t.Context(), began)

			now := s.secrets(t.Context())
			s.Expect(now[trust.CASecret][corev1.TLSPrivateKeyKey]).To(Equal(known[trust.CASecret][corev1.TLSPrivateKeyKey]), "the key is the same")
			delete(now, trust.CASecret)
			others := known
			delete(others, trust.CASecret)
			s.Expect(now).To(Equal(others), "and so are the agents'")
			known = s.secrets(t.Context())
		})
	}
	NewWithT(t).Expect(pki.LeafLifetime).To(BeNumerically("<", 400*24*time.Hour), "certificates had run out")
}
