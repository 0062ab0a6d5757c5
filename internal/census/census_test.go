package census_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const id hostapi.VMID = "4a7c4c1e-5a52-4f6b-8e0b-4a1f4c6f1a55"

var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// agent lists what it was given, and nothing else.
type agent struct {
	hostapi.Agent
	vms     []hostapi.VM
	err     error
	asked   int
	listing func()
}

func (a *agent) ListVMs(context.Context) ([]hostapi.VM, error) {
	a.asked++
	if a.listing != nil {
		a.listing()
	}
	return a.vms, a.err
}

// site is all hosts and their agents.
type site struct {
	taker  *census.Taker
	clock  *clocktesting.FakePassiveClock
	agents map[string]*agent
}

func (s *site) Agent(_ context.Context, host *capstanv1.HyperVHost) (hostapi.Agent, error) {
	return s.agents[host.Name], nil
}

func newSite(t *testing.T, hosts ...*capstanv1.HyperVHost) *site {
	t.Helper()
	scheme := runtime.NewScheme()
	NewWithT(t).Expect(capstanv1.AddToScheme(scheme)).To(Succeed())
	objects := fake.NewClientBuilder().WithScheme(scheme)
	s := &site{clock: clocktesting.NewFakePassiveClock(now), agents: map[string]*agent{}}
	for _, host := range hosts {
		objects = objects.WithObjects(host)
		s.agents[host.Name] = &agent{}
	}
	s.taker = &census.Taker{Live: objects.Build(), Hosts: s, Clock: s.clock}
	return s
}

func host(name string, with ...func(*capstanv1.HyperVHost)) *capstanv1.HyperVHost {
	h := &capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: name}}
	h.Status.Agent = &capstanv1.HostAgent{HostName: "node-of-" + name}
	conditions.True(h, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "")
	for _, w := range with {
		w(h)
	}
	return h
}

func inCluster(name string) func(*capstanv1.HyperVHost) {
	return func(h *capstanv1.HyperVHost) { h.Status.FailoverCluster = name }
}

func lost(h *capstanv1.HyperVHost) { h.Spec.Lost = true }

func silent(reason string, since time.Duration) func(*capstanv1.HyperVHost) {
	return func(h *capstanv1.HyperVHost) {
		h.Status.Conditions = []metav1.Condition{{
			Type: capstanv1.AgentConnectedCondition, Status: metav1.ConditionFalse, Reason: reason, Message: "not let in", LastTransitionTime: metav1.NewTime(now.Add(-since)),
		}}
	}
}

func unheard(h *capstanv1.HyperVHost) { h.Status = capstanv1.HyperVHostStatus{} }

func vm(state hostapi.State, change ...func(*hostapi.VM)) hostapi.VM {
	v := hostapi.VM{Stamp: hostapi.Stamp{Installation: "here", ID: id}, Name: "a", State: state}
	for _, c := range change {
		c(&v)
	}
	return v
}

func TestAVMIsFoundWhereItWasNotPlaced(t *testing.T) {
	onHv1, inFc1 := capstanv1.Placement{Host: "hv1"}, capstanv1.Placement{Host: "hv1", FailoverCluster: "fc1"}
	remnant := func(v *hostapi.VM) { v.Name = "" }
	for name, tc := range map[string]struct {
		hosts []*capstanv1.HyperVHost
		at    capstanv1.Placement
		held  map[string]hostapi.VM
		want  string
	}{
		"nowhere":                    {hosts: []*capstanv1.HyperVHost{host("hv1"), host("hv2")}, at: onHv1},
		"where it belongs":           {hosts: []*capstanv1.HyperVHost{host("hv1"), host("hv2")}, at: onHv1, held: map[string]hostapi.VM{"hv1": vm(hostapi.StateRunning)}},
		"on another host":            {hosts: []*capstanv1.HyperVHost{host("hv1"), host("hv2")}, at: onHv1, held: map[string]hostapi.VM{"hv2": vm(hostapi.StateRunning)}, want: "hv2"},
		"on another host, off":       {hosts: []*capstanv1.HyperVHost{host("hv1"), host("hv2")}, at: onHv1, held: map[string]hostapi.VM{"hv2": vm(hostapi.StateOff)}, want: "hv2"},
		"on another host, in pieces": {hosts: []*capstanv1.HyperVHost{host("hv1"), host("hv2")}, at: onHv1, held: map[string]hostapi.VM{"hv2": vm(hostapi.StatePartial)}, want: "hv2"},
		"what is left of it alone":   {hosts: []*capstanv1.HyperVHost{host("hv1"), host("hv2")}, at: onHv1, held: map[string]hostapi.VM{"hv2": vm(hostapi.StatePartial, remnant)}},
		"with another installation's stamp": {
			hosts: []*capstanv1.HyperVHost{host("hv1"), host("hv2")}, at: onHv1,
			held: map[string]hostapi.VM{"hv2": vm(hostapi.StateRunning, func(v *hostapi.VM) { v.Stamp.Installation = "another" })}, want: "hv2",
		},
		"on another node of its failover cluster": {
			hosts: []*capstanv1.HyperVHost{host("hv1", inCluster("fc1")), host("hv2", inCluster("fc1"))}, at: inFc1,
			held: map[string]hostapi.VM{"hv1": vm(hostapi.StateRunning, func(v *hostapi.VM) { v.Host = "node-of-hv2" })},
		},
		"in another failover cluster, by the node that has it": {
			hosts: []*capstanv1.HyperVHost{host("hv1", inCluster("fc1")), host("hv2", inCluster("fc2")), host("hv3", inCluster("fc2"))}, at: inFc1,
			held: map[string]hostapi.VM{"hv2": vm(hostapi.StateRunning, func(v *hostapi.VM) { v.Host = "node-of-hv3" })}, want: "hv3",
		},
		"in another failover cluster of which a node is silent": {
			hosts: []*capstanv1.HyperVHost{host("hv1"), host("hv2", inCluster("fc2"), silent(capstanv1.ReasonHostUnreachable, 0)), host("hv3", inCluster("fc2"))}, at: onHv1,
			held: map[string]hostapi.VM{"hv3": vm(hostapi.StateRunning)}, want: "hv3",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s := newSite(t, tc.hosts...)
			for on, held := range tc.held {
				s.agents[on].vms = []hostapi.VM{vm(hostapi.StateRunning, func(v *hostapi.VM) { v.Stamp.ID = "other" }), held}
			}
			found, err := s.taker.Take(t.Context())
			g.Expect(err).NotTo(HaveOccurred())
			there := found.Elsewhere(id, tc.at)
			if tc.want == "" {
				g.Expect(there).To(BeNil())
				g.Expect(found.Awaited(census.Missed{ID: id, At: tc.at}, -1, now)).To(BeEmpty(), "all have said what they hold")
				return
			}
			g.Expect(there).NotTo(BeNil())
			g.Expect(there.Host.Name).To(Equal(tc.want))
			g.Expect(there.VM.Stamp.ID).To(Equal(id))
			g.Expect(found.At(id, tc.at)).To(BeNil())
		})
	}
}

func told(entry capstanv1.HostOrphan) func(*capstanv1.HyperVHost) {
	return func(h *capstanv1.HyperVHost) { h.Status.Orphans = []capstanv1.HostOrphan{entry} }
}

func TestWhoseWordIsAwaited(t *testing.T) {
	const patience = 8 * time.Minute
	at := capstanv1.Placement{Host: "hv1"}
	unreachable := func(since time.Duration) func(*capstanv1.HyperVHost) {
		return silent(capstanv1.ReasonHostUnreachable, since)
	}
	refused := silent(capstanv1.ReasonAgentCertificateMismatch, time.Hour)
	unlisted := hostapi.Errorf(hostapi.Transient, "ListVMs", "", "a volume could not be read")
	onHv2, inFc1 := &capstanv1.VMSighting{Host: "hv2"}, &capstanv1.VMSighting{Host: "hv2", FailoverCluster: "fc1"}
	for name, tc := range map[string]struct {
		others   []*capstanv1.HyperVHost
		fails    error
		seen     *capstanv1.VMSighting
		missed   time.Duration
		patience time.Duration
		want     []census.Awaited
	}{
		"of a host that is silent": {
			others: []*capstanv1.HyperVHost{host("hv2", unreachable(time.Minute))}, patience: patience,
			want: []census.Awaited{{Why: "host hv2 does not answer", Silent: []string{"hv2"}, Until: now.Add(7 * time.Minute)}},
		},
		"of none that has been silent for long": {others: []*capstanv1.HyperVHost{host("hv2", unreachable(patience))}, patience: patience},
		"of such a one if only a person declares a loss": {
			others: []*capstanv1.HyperVHost{host("hv2", unreachable(time.Hour))}, patience: -1,
			want: []census.Awaited{{Why: "host hv2 does not answer", Silent: []string{"hv2"}}},
		},
		"of none that is declared lost": {others: []*capstanv1.HyperVHost{host("hv2", unreachable(time.Minute), lost)}, patience: patience, seen: onHv2},
		"of one that answers and is not let in, from when the VM was missed": {
			others: []*capstanv1.HyperVHost{host("hv2", refused)}, missed: time.Minute, patience: patience,
			want: []census.Awaited{{Why: "host hv2 cannot be asked (AgentCertificateMismatch: not let in)", Until: now.Add(7 * time.Minute)}},
		},
		"of none that answers and is not let in for long": {others: []*capstanv1.HyperVHost{host("hv2", refused)}, missed: patience, patience: patience},
		"of one of which nothing is known": {
			others: []*capstanv1.HyperVHost{host("hv2", unheard)}, patience: patience,
			want: []census.Awaited{{Why: "host hv2 does not answer", Until: now.Add(patience)}},
		},
		"of none in a failover cluster of which a node answers": {
			others: []*capstanv1.HyperVHost{host("hv2", inCluster("fc1"), unreachable(time.Minute)), host("hv3", inCluster("fc1"))}, patience: patience,
		},
		"of any node of a failover cluster, of which the last fell silent a minute ago": {
			others: []*capstanv1.HyperVHost{
				host("hv2", inCluster("fc1"), unreachable(time.Hour)), host("hv3", inCluster("fc1"), unreachable(time.Minute)), host("hv4", inCluster("fc1"), lost),
			},
			patience: patience,
			want:     []census.Awaited{{Why: "host hv2 does not answer", Silent: []string{"hv2", "hv3"}, Until: now.Add(7 * time.Minute)}},
		},
		"of one that could not list what it holds, from when the VM was missed": {
			others: []*capstanv1.HyperVHost{host("hv2")}, fails: unlisted, missed: time.Minute, patience: patience,
			want: []census.Awaited{{Why: "host hv2 could not list what it holds: ListVMs: a volume could not be read", Until: now.Add(7 * time.Minute)}},
		},
		"of none that could not list what it holds for long": {others: []*capstanv1.HyperVHost{host("hv2")}, fails: unlisted, missed: patience, patience: patience},
		"without end of one that had it, and is silent": {
			others: []*capstanv1.HyperVHost{host("hv2", unreachable(time.Hour))}, seen: onHv2, missed: time.Hour, patience: patience,
			want: []census.Awaited{{Why: "host hv2 does not answer, and may have the VM: it was seen there", Silent: []string{"hv2"}}},
		},
		"without end of one that had it, and cannot list what it holds": {
			others: []*capstanv1.HyperVHost{host("hv2")}, fails: unlisted, seen: onHv2, missed: time.Hour, patience: patience,
			want: []census.Awaited{{Why: "host hv2 could not list what it holds: ListVMs: a volume could not be read, and may have the VM: it was seen there"}},
		},
		"without end of any node of the failover cluster that had it": {
			others: []*capstanv1.HyperVHost{host("hv2", unheard), host("hv3", inCluster("fc1"), unreachable(time.Hour))}, seen: inFc1, missed: time.Hour, patience: patience,
			want: []census.Awaited{
				{Why: "host hv2 does not answer, and may have the VM: it was seen there"},
				{Why: "host hv3 does not answer, and may have the VM: it was seen there", Silent: []string{"hv3"}},
			},
		},
		"without end of one that has told of it": {
			others: []*capstanv1.HyperVHost{host("hv2", unreachable(time.Hour), told(capstanv1.HostOrphan{ID: string(id)}))}, missed: time.Hour, patience: patience,
			want: []census.Awaited{{Why: "host hv2 does not answer, and may have the VM: it was seen there", Silent: []string{"hv2"}}},
		},
		"of none that has told of what is left of it": {
			others: []*capstanv1.HyperVHost{host("hv2", unreachable(time.Hour), told(capstanv1.HostOrphan{ID: string(id), Remnant: true}))}, missed: time.Hour, patience: patience,
		},
		"first of the one that is waited for the longest": {
			others: []*capstanv1.HyperVHost{host("hv2", unreachable(2*time.Minute)), host("hv3", unreachable(time.Minute)), host("hv4", unreachable(time.Hour))},
			seen:   &capstanv1.VMSighting{Host: "hv4"}, patience: patience,
			want: []census.Awaited{
				{Why: "host hv4 does not answer, and may have the VM: it was seen there", Silent: []string{"hv4"}},
				{Why: "host hv3 does not answer", Silent: []string{"hv3"}, Until: now.Add(7 * time.Minute)},
				{Why: "host hv2 does not answer", Silent: []string{"hv2"}, Until: now.Add(6 * time.Minute)},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			// Its own host is not asked once more.
			s := newSite(t, append(tc.others, host("hv1", unreachable(0)))...)
			s.agents["hv2"].err = tc.fails
			found, err := s.taker.Take(t.Context())
			g.Expect(err).NotTo(HaveOccurred())
			got := found.Awaited(census.Missed{ID: id, At: at, Since: now.Add(-tc.missed), Seen: tc.seen}, tc.patience, now)
			g.Expect(got).To(HaveLen(len(tc.want)))
			for i := range got {
				g.Expect(got[i].Until.Equal(tc.want[i].Until)).To(BeTrue(), "%s", got[i].Until)
				got[i].Until = tc.want[i].Until
			}
			g.Expect(got).To(HaveExactElements(tc.want))
		})
	}
}

func TestOnlyThePlaceWhereAVMWasSeenCanDenyIt(t *testing.T) {
	silentHost := silent(capstanv1.ReasonHostUnreachable, time.Hour)
	for name, tc := range map[string]struct {
		hosts  []*capstanv1.HyperVHost
		held   hostapi.VM
		seen   capstanv1.VMSighting
		denied bool
	}{
		"it has something else":                    {hosts: []*capstanv1.HyperVHost{host("hv2")}, held: vm(hostapi.StateRunning, func(v *hostapi.VM) { v.Stamp.ID = "other" }), seen: capstanv1.VMSighting{Host: "hv2"}, denied: true},
		"it has what is left of it":                {hosts: []*capstanv1.HyperVHost{host("hv2")}, held: vm(hostapi.StatePartial, func(v *hostapi.VM) { v.Name = "" }), seen: capstanv1.VMSighting{Host: "hv2"}, denied: true},
		"it has it":                                {hosts: []*capstanv1.HyperVHost{host("hv2")}, held: vm(hostapi.StateOff), seen: capstanv1.VMSighting{Host: "hv2"}},
		"it is silent":                             {hosts: []*capstanv1.HyperVHost{host("hv2", silentHost), host("hv3")}, seen: capstanv1.VMSighting{Host: "hv2"}},
		"it is declared lost":                      {hosts: []*capstanv1.HyperVHost{host("hv2", lost), host("hv3")}, seen: capstanv1.VMSighting{Host: "hv2"}},
		"another node of its failover cluster can": {hosts: []*capstanv1.HyperVHost{host("hv2", inCluster("fc1"), silentHost), host("hv3", inCluster("fc1"))}, seen: capstanv1.VMSighting{Host: "hv2", FailoverCluster: "fc1"}, denied: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s := newSite(t, tc.hosts...)
			s.agents["hv2"].vms = []hostapi.VM{tc.held}
			found, err := s.taker.Take(t.Context())
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(found.Denies(id, tc.seen)).To(Equal(tc.denied))
		})
	}
}

func TestManyWhoMissSomethingAskTogether(t *testing.T) {
	g := NewWithT(t)
	s := newSite(t, host("hv1"))
	since := func(moment time.Time) *census.Census {
		c, err := s.taker.Since(t.Context(), moment)
		g.Expect(err).NotTo(HaveOccurred())
		return c
	}
	var meanwhile *census.Census
	s.agents["hv1"].listing = func() { meanwhile = since(now) }
	first := since(now)
	g.Expect(first).NotTo(BeNil())
	g.Expect(meanwhile).To(BeNil(), "somebody asks already")
	s.agents["hv1"].listing = nil

	s.clock.SetTime(now.Add(time.Minute))
	g.Expect(since(now)).To(BeIdenticalTo(first), "it began when nobody had missed anything later")
	g.Expect(s.agents["hv1"].asked).To(Equal(1))
	second := since(now.Add(time.Second))
	g.Expect(second).NotTo(BeIdenticalTo(first), "what was missed after it began is asked for anew")
	g.Expect(second.Began).To(Equal(now.Add(time.Minute)))
	g.Expect(s.agents["hv1"].asked).To(Equal(2))

	s.clock.SetTime(now.Add(time.Hour))
	third, err := s.taker.Take(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(since(now.Add(time.Hour))).To(BeIdenticalTo(third), "whoever took it")
}

func TestACensusThatWasCutOffSaysNothing(t *testing.T) {
	g := NewWithT(t)
	s := newSite(t, host("hv1"))
	ctx, cut := context.WithCancel(t.Context())
	s.agents["hv1"].listing = cut
	_, err := s.taker.Take(ctx)
	g.Expect(err).To(MatchError(context.Canceled))
}
