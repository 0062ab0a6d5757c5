package capi

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// oneEvent is a ClusterCache as far as its events go: it waits until one is taken.
type oneEvent struct {
	clustercache.ClusterCache
	events chan event.GenericEvent
	down   chan struct{}
}

func (o *oneEvent) GetClusterSource(_ string, mapFunc func(context.Context, client.Object) []ctrl.Request, _ ...clustercache.GetClusterSourceOption) source.Source {
	return source.Channel(o.events, handler.EnqueueRequestsFromMapFunc(mapFunc))
}

func (o *oneEvent) Shutdown() { close(o.down) }

func TestAManagerEndsThoughAClusterConnectsWhileItDoes(t *testing.T) {
	g := NewWithT(t)
	mgr, err := manager.New(&rest.Config{}, manager.Options{Metrics: metricsserver.Options{BindAddress: "0"}})
	g.Expect(err).NotTo(HaveOccurred())
	upstream := &oneEvent{events: make(chan event.GenericEvent), down: make(chan struct{})}
	clusters, err := endWith(mgr, upstream)
	g.Expect(err).NotTo(HaveOccurred())

	// A controller that wants to know of clusters, and that of the ClusterCache, which
	// is still at it when the other one has ended.
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[ctrl.Request]())
	defer queue.ShutDown()
	asked := clusters.GetClusterSource("test", func(_ context.Context, cluster client.Object) []ctrl.Request {
		return []ctrl.Request{{NamespacedName: client.ObjectKeyFromObject(cluster)}}
	})
	started := make(chan struct{})
	g.Expect(mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		defer close(started)
		return asked.Start(ctx, queue)
	}))).To(Succeed())
	g.Expect(mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		for range 50 {
			upstream.events <- event.GenericEvent{Object: &clusterv1.Cluster{}}
		}
		g.Expect(upstream.down).NotTo(BeClosed(), "a controller still needs it")
		return nil
	}))).To(Succeed())

	ctx, stop := context.WithCancel(t.Context())
	go func() {
		<-started
		stop()
	}()
	g.Expect(mgr.Start(ctx)).To(Succeed())
	g.Expect(upstream.down).To(BeClosed())
}
