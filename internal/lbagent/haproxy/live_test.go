package haproxy_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

func TestServersChangeWithoutANewWorker(t *testing.T) {
	l := newLab(t)
	a, b := l.newServer(10), l.newServer(11)
	l.apply(l.plan(a.Backend))
	l.Expect(l.askTwenty()).To(Equal(map[string]int{a.Name: 20}))
	worker := l.worker()
	held := l.holdOn(a)

	l.apply(l.plan(a.Backend, b.Backend))
	l.Expect(l.askTwenty()).To(Equal(map[string]int{a.Name: 10, b.Name: 10}))
	l.apply(l.plan(a.Drained(), b.Backend))
	l.Expect(l.askTwenty()).To(Equal(map[string]int{b.Name: 20}))
	l.Expect(held.Echo()).To(Succeed(), "a drained server keeps what it has")
	l.apply(l.plan(a.Backend, b.Backend))
	l.Expect(l.askTwenty()).To(HaveKeyWithValue(a.Name, 10))
	l.apply(l.plan(a.Backend))
	l.Expect(l.askTwenty()).To(Equal(map[string]int{a.Name: 20}))
	l.eventually(l.health).Should(Equal(map[string]lbapi.Health{a.Name: lbapi.HealthUp}))
	l.Expect(held.Echo()).To(Succeed())
	l.Expect(l.worker()).To(Equal(worker))
}

func TestAServerThatMovesToAnotherAddressLosesItsConnections(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*lbapi.Frontend)
		worker func(any) types.GomegaMatcher
	}{
		"by the runtime API": {func(*lbapi.Frontend) {}, Equal},
		"by a reload": {
			func(f *lbapi.Frontend) { f.Check.Interval *= 2 },
			func(before any) types.GomegaMatcher { return Not(Equal(before)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			a, b, other := l.newServer(10), l.newServer(11), l.newServer(12)
			l.apply(l.plan(a.Backend, other.Backend))
			worker := l.worker()
			gone, stays := l.holdOn(a), l.holdOn(other)
			moved := a.Backend
			moved.Address, moved.Port = b.Address, b.Port
			plan := l.plan(moved, other.Backend)
			tt.change(&plan.Frontends[0])
			l.apply(plan)
			l.Expect(l.askTwenty()).To(Equal(map[string]int{b.Name: 10, other.Name: 10}))
			l.Expect(gone.Echo()).NotTo(Succeed(), "who has this address now is not known")
			l.Expect(stays.Echo()).To(Succeed())
			l.Expect(l.worker()).To(tt.worker(worker))
			l.eventually(l.health).Should(Equal(map[string]lbapi.Health{a.Name: lbapi.HealthUp, other.Name: lbapi.HealthUp}))
		})
	}
}

func TestAServerThatMovesToAnotherPortKeepsItsConnections(t *testing.T) {
	l := newLab(t)
	a, b := l.newServer(10), l.serve("elsewhere", 10)
	l.apply(l.plan(a.Backend))
	worker, held := l.worker(), l.holdOn(a)
	moved := a.Backend
	moved.Port = b.Port
	l.apply(l.plan(moved))
	l.Expect(l.askTwenty()).To(Equal(map[string]int{b.Name: 20}))
	l.Expect(held.Echo()).To(Succeed())
	l.Expect(l.worker()).To(Equal(worker))
}

func TestARemovedServerLosesItsConnections(t *testing.T) {
	l := newLab(t)
	a, b := l.newServer(10), l.newServer(11)
	l.apply(l.plan(a.Backend, b.Backend))
	gone, stays := l.holdOn(a), l.holdOn(b)
	l.apply(l.plan(b.Backend))
	l.Expect(gone.Echo()).NotTo(Succeed())
	l.Expect(stays.Echo()).To(Succeed())
}

func TestAServerRemovedLaterLosesWhatAReplacedWorkerCarries(t *testing.T) {
	l := newLab(t)
	a, b := l.newServer(10), l.newServer(11)
	l.apply(l.plan(a.Backend, b.Backend))
	gone, stays := l.holdOn(a), l.holdOn(b)
	slower := l.plan(a.Backend, b.Backend)
	slower.Frontends[0].Check.Interval *= 2
	worker := l.worker()
	l.apply(slower)
	l.Expect(l.worker()).NotTo(Equal(worker), "checks change by a reload")
	l.Expect(gone.Echo()).To(Succeed())
	slower.Frontends[0].Backends = []lbapi.Backend{b.Backend}
	l.apply(slower)
	l.Expect(gone.Echo()).NotTo(Succeed())
	l.Expect(stays.Echo()).To(Succeed())
}

func TestAServerRemovedByAReloadLosesItsConnections(t *testing.T) {
	l := newLab(t)
	a, b := l.newServer(10), l.newServer(11)
	l.apply(l.plan(a.Backend, b.Backend))
	gone, stays := l.holdOn(a), l.holdOn(b)
	next := l.plan(b.Backend)
	next.Frontends[0].Check.Interval *= 2
	l.apply(next)
	l.Expect(gone.Echo()).NotTo(Succeed())
	l.Expect(stays.Echo()).To(Succeed())
}

func TestNewFrontendsDisturbNobody(t *testing.T) {
	l := newLab(t)
	a, b := l.newServer(10), l.newServer(11)
	l.apply(l.plan(a.Backend))
	held := l.holdOn(a)
	more := l.plan(a.Backend)
	second := l.plan(b.Backend).Frontends[0]
	second.Name, second.Port = "second", l.freePort(l.address(100))
	more.Frontends = append(more.Frontends, second)
	l.apply(more)
	l.Expect(l.ask(second.Port)).To(Equal(b.Name))
	l.Expect(held.Echo()).To(Succeed())
	l.apply(l.plan(a.Backend))
	l.Expect(l.ask(second.Port)).To(BeEmpty())
	l.Expect(held.Echo()).To(Succeed())
}

func TestAStreamOutlivesManyReloads(t *testing.T) {
	l := newLab(t)
	a := l.newServer(10)
	l.apply(l.plan(a.Backend))
	held := l.holdOn(a)
	more := l.plan(a.Backend)
	second := more.Clone().Frontends[0]
	second.Name, second.Port = "second", l.freePort(l.address(100))
	more.Frontends = append(more.Frontends, second)
	const reloads = 60
	for range reloads / 2 {
		l.apply(more)
		l.apply(l.plan(a.Backend))
	}
	l.Expect(held.Echo()).To(Succeed())
	l.Expect(l.ask(l.vipPort)).To(Equal(a.Name))
}

func TestAReplacedWorkerEndsWithWhatItCarriesWhenItsTimeIsUp(t *testing.T) {
	l := newLab(t)
	options := l.options("haproxy")
	options.HardStopAfter = 4 * time.Second
	short, err := haproxy.New(options)
	l.Expect(err).NotTo(HaveOccurred())
	l.haproxy = short
	a := l.newServer(10)
	l.apply(l.plan(a.Backend))
	replaced, held := l.workerPID(), l.holdOn(a)
	slower := l.plan(a.Backend)
	slower.Frontends[0].Check.Interval *= 2
	l.apply(slower)
	l.Expect(held.Echo()).To(Succeed())
	l.Expect(syscall.Kill(replaced, 0)).To(Succeed())
	l.eventually(held.Echo).ShouldNot(Succeed())
	l.eventually(func() error { return syscall.Kill(replaced, 0) }).Should(MatchError(syscall.ESRCH))
	l.Expect(l.ask(l.vipPort)).To(Equal(a.Name))
}

func TestAReloadKeepsWhatIsKnownOfServers(t *testing.T) {
	l := newLab(t)
	a, dead := l.newServer(10), l.newServer(11)
	dead.Close()
	plan := l.plan(a.Backend, dead.Backend)
	// A worker checks its servers once when it begins, and then has no time to.
	plan.Frontends[0].Check.Interval, plan.Frontends[0].Check.Rise = time.Minute, 10
	l.apply(plan)
	known := map[string]lbapi.Health{a.Name: lbapi.HealthUp, dead.Name: lbapi.HealthDown}
	l.eventually(l.health).Should(Equal(known))
	worker := l.worker()
	// For a worker that knows nothing, one good check would be enough.
	l.Expect(dead.Listen()).To(Succeed())
	plan.Frontends[0].AllowedSources = []string{"127.0.0.0/8"}
	l.apply(plan)
	l.Expect(l.worker()).NotTo(Equal(worker))
	l.Consistently(l.health, "500ms").Should(Equal(known))
	l.Expect(os.ReadFile(l.path("haproxy.state"))).NotTo(ContainSubstring(a.Name), "it is not true for ever")
}

func TestAReloadBelievesThePlanAndNotTheState(t *testing.T) {
	l := newLab(t)
	a, b := l.newServer(10), l.newServer(11)
	l.apply(l.plan(a.Drained(), b.Backend))
	next := l.plan(a.Backend, b.Backend)
	next.Frontends[0].Backends[1].Drain = true
	next.Frontends[0].Check.Interval *= 2
	l.apply(next)
	l.Expect(l.askTwenty()).To(Equal(map[string]int{a.Name: 20}))
}

func TestOnlyAllowedSourcesAreCarried(t *testing.T) {
	l := newLab(t)
	a := l.newServer(10)
	for _, tt := range []struct {
		sources []string
		want    string
	}{
		{[]string{"192.0.2.0/24", "127.0.0.1/32"}, a.Name},
		{[]string{"192.0.2.0/24", "2001:db8::/32"}, ""},
		{nil, a.Name},
	} {
		plan := l.plan(a.Backend)
		plan.Frontends[0].AllowedSources = tt.sources
		l.apply(plan)
		l.Expect(l.ask(l.vipPort)).To(Equal(tt.want))
	}
}

func TestHAProxyComesUpWithItsFileAlone(t *testing.T) {
	l := newLab(t)
	a, b := l.newServer(10), l.newServer(11)
	l.apply(l.plan(a.Backend))
	l.apply(l.plan(a.Drained(), b.Backend))
	l.kill()
	l.start()
	l.eventually(func() string { return l.ask(l.vipPort) }).Should(Equal(b.Name))
	l.Expect(l.askTwenty()).To(Equal(map[string]int{b.Name: 20}))
	worker := l.worker()
	l.apply(l.plan(a.Drained(), b.Backend))
	l.Expect(l.worker()).To(Equal(worker), "nothing was left to do")
}

func TestAChangeWaitsForAnHAProxyThatIsBeingStarted(t *testing.T) {
	l := newLab(t)
	a := l.newServer(10)
	l.apply(l.plan())
	l.kill()
	applied := make(chan error, 1)
	go func() { applied <- l.tryApply(l.plan(a.Backend)) }()
	l.eventually(func() (string, error) {
		config, err := os.ReadFile(l.path("haproxy.cfg"))
		return string(config), err
	}).Should(ContainSubstring(a.Name))
	l.start()
	l.Expect(<-applied).To(Succeed())
	l.Expect(l.ask(l.vipPort)).To(Equal(a.Name))
}
