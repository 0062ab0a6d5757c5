package loadbalancer_test

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/controllers/loadbalancer"
	"github.com/capstan-k8s/capstan/internal/outage"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/trust"
)

func TestLoadBalancer(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "LoadBalancer")
}

// The API server and the manager that all specs share, as users do.
var (
	env      *testenv.Env
	k8s      client.Client
	identity *pki.ManagerIdentity
	pins     *trust.Pins
	leaping  = &testenv.LeapingClock{}
	asked    = &requests{count: map[string]int{}}
)

// foreignFirst is the first address of another IPAM provider.
var foreignFirst = netip.MustParsePrefix("198.51.100.10/24")

// timeouts are far apart, so that a leap over one is none over the other.
var timeouts = loadbalancer.Timeouts{Boot: 1000 * time.Hour, Silence: time.Minute}

// healing is far from both: a loss is leapt over, and no hold ever ends by itself.
var healing = outage.Timeouts{HostLoss: 10 * time.Hour, Hold: 1000 * time.Hour}

var _ = BeforeSuite(func(ctx SpecContext) {
	env = testenv.Start(GinkgoT())
	k8s = env.Client
	pins = &trust.Pins{Client: k8s, Live: k8s}
	var err error
	identity, err = (&trust.CAKeeper{Client: k8s, Live: k8s, Namespace: testenv.ManagerNamespace, Clock: clock.RealClock{}}).Identity(ctx, "manager", nil)
	Expect(err).NotTo(HaveOccurred())
	env.Config.Wrap(asked.wrap)
	env.RunReconcilers(GinkgoT(), func(mgr manager.Manager) []testenv.Reconciler {
		return []testenv.Reconciler{
			&ipam.ClaimReconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader()},
			&testenv.ForeignProvider{Client: mgr.GetClient(), First: foreignFirst, Gateway: netip.MustParseAddr("198.51.100.1")},
			&loadbalancer.Reconciler{
				Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("capstan"), Manager: identity, Pins: pins,
				Clock: leaping, Random: utilrand.String, Timeouts: timeouts, Outages: outage.NewWatch(healing),
			},
		}
	})
})
