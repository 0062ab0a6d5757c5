package service_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/controllers/service"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestService(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Services of type LoadBalancer")
}

// foreignFirst is the first address of another IPAM provider, which gives it to one of the
// specs.
var foreignFirst = netip.MustParsePrefix("10.20.0.200/24")

// The management API server and the manager that all specs share.
var (
	env    *testenv.Env
	remote = &connections{configs: map[client.ObjectKey]*rest.Config{}, changed: make(chan event.GenericEvent, 64)}
	tells  = &applies{counts: map[string]int{}}
	loads  = &carriers{paused: map[string]bool{}, kept: map[string]bool{}}
)

var _ = BeforeSuite(func() {
	env = testenv.Start(GinkgoT())
	env.Config.Wrap(tells.wrap)
	env.RunManager(GinkgoT(), func(ctx context.Context, mgr manager.Manager) error {
		options := testenv.Controller()
		if err := (&ipam.ClaimReconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader()}).SetupWithManager(ctx, mgr, options); err != nil {
			return err
		}
		if err := (&testenv.ForeignProvider{Client: mgr.GetClient(), First: foreignFirst, Gateway: netip.MustParseAddr("10.20.0.1")}).SetupWithManager(ctx, mgr, options); err != nil {
			return err
		}
		if err := loads.setup(mgr); err != nil {
			return err
		}
		return (&service.Reconciler{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Connections: remote, Clock: clock.RealClock{},
		}).SetupWithManager(ctx, mgr, options)
	})
})

// connections are those to the workload clusters, as a ClusterCache has them.
type connections struct {
	mu      sync.Mutex
	configs map[client.ObjectKey]*rest.Config
	changed chan event.GenericEvent
}

// GetRESTConfig implements service.Connections.
func (c *connections) GetRESTConfig(_ context.Context, cluster client.ObjectKey) (*rest.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if config := c.configs[cluster]; config != nil {
		return config, nil
	}
	return nil, clustercache.ErrClusterNotConnected
}

// GetClusterSource implements service.Connections.
func (c *connections) GetClusterSource(_ string, mapFunc func(context.Context, client.Object) []ctrl.Request, _ ...clustercache.GetClusterSourceOption) source.Source {
	return source.Channel(c.changed, handler.EnqueueRequestsFromMapFunc(mapFunc))
}

// set connects a cluster, or with nil disconnects it.
func (c *connections) set(cluster client.ObjectKey, config *rest.Config) {
	c.mu.Lock()
	c.configs[cluster] = config
	c.mu.Unlock()
	obj := &clusterv1.Cluster{}
	obj.Namespace, obj.Name = cluster.Namespace, cluster.Name
	c.changed <- event.GenericEvent{Object: obj}
}

// applies counts how often LoadBalancers were told of Services, by their namespaces.
type applies struct {
	mu     sync.Mutex
	counts map[string]int
}

func (a *applies) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
		if len(parts) == 7 && parts[5] == "loadbalancers" && request.URL.Query().Get("fieldManager") == "capstan-services" {
			a.mu.Lock()
			a.counts[parts[4]]++
			a.mu.Unlock()
		}
		return next.RoundTrip(request)
	})
}

func (a *applies) of(namespace string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[namespace]
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
