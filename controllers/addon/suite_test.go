package addon_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/capstan-k8s/capstan/controllers/addon"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestAddon(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Addons")
}

// resync is short enough for a spec to see that drift is mended.
const resync = 2 * time.Second

// mostBytes is little enough for a spec to go beyond it soon: under the race detector
// the deployed bound takes a minute to read.
const mostBytes = 1 << 20

// The management API server and the manager that all specs share.
var (
	env    *testenv.Env
	remote = &connections{clients: map[client.ObjectKey]client.Client{}, changed: make(chan event.GenericEvent, 64)}
	heard  = &testenv.Recorder{}
	read   = &readings{of: map[client.ObjectKey]int{}}
	now    = &fastClock{}
)

var _ = BeforeSuite(func() {
	env = testenv.Start(GinkgoT())
	env.RunManager(GinkgoT(), func(ctx context.Context, mgr manager.Manager) error {
		return (&addon.Reconciler{
			Client: mgr.GetClient(), Live: read.from(mgr.GetAPIReader()), Events: heard, Connections: remote, Clock: now, Resync: resync, MostBytes: mostBytes, Turn: addon.DefaultTurn,
		}).SetupWithManager(ctx, mgr, testenv.Controller())
	})
})

// fastClock is the time, or ahead of it.
type fastClock struct {
	clock.RealClock
	ahead atomic.Int64
}

// Now implements clock.PassiveClock.
func (c *fastClock) Now() time.Time { return c.RealClock.Now().Add(time.Duration(c.ahead.Load())) }

// Since implements clock.PassiveClock.
func (c *fastClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func (c *fastClock) pass(d time.Duration) { c.ahead.Add(int64(d)) }

// readings counts how often which ConfigMap was read whole.
type readings struct {
	client.Reader
	mu sync.Mutex
	of map[client.ObjectKey]int
}

func (r *readings) from(reader client.Reader) client.Reader {
	r.Reader = reader
	return r
}

// Get implements client.Reader.
func (r *readings) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if _, whole := obj.(*corev1.ConfigMap); whole {
		r.mu.Lock()
		r.of[key]++
		r.mu.Unlock()
	}
	return r.Reader.Get(ctx, key, obj, opts...)
}

func (r *readings) times(namespace, name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[client.ObjectKey{Namespace: namespace, Name: name}]
}

// connections are those to the workload clusters, as a ClusterCache has them.
type connections struct {
	mu      sync.Mutex
	clients map[client.ObjectKey]client.Client
	asked   map[client.ObjectKey]int
	changed chan event.GenericEvent
}

// GetUncachedClient implements addon.Connections.
func (c *connections) GetUncachedClient(_ context.Context, cluster client.ObjectKey) (client.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		c.asked = map[client.ObjectKey]int{}
	}
	c.asked[cluster]++
	if remote := c.clients[cluster]; remote != nil {
		return remote, nil
	}
	return nil, clustercache.ErrClusterNotConnected
}

// GetClusterSource implements addon.Connections.
func (c *connections) GetClusterSource(_ string, mapFunc func(context.Context, client.Object) []ctrl.Request, _ ...clustercache.GetClusterSourceOption) source.Source {
	return source.Channel(c.changed, handler.EnqueueRequestsFromMapFunc(mapFunc))
}

// set connects a cluster, or with nil disconnects it.
func (c *connections) set(cluster client.ObjectKey, to client.Client) {
	c.mu.Lock()
	c.clients[cluster] = to
	c.mu.Unlock()
	obj := &clusterv1.Cluster{}
	obj.Namespace, obj.Name = cluster.Namespace, cluster.Name
	c.changed <- event.GenericEvent{Object: obj}
}

func (c *connections) timesAsked(cluster client.ObjectKey) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[cluster]
}
