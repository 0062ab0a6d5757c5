package capi

import (
	"context"
	"errors"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// endingCache is a ClusterCache that ends with its manager. Upstream's hands each
// event about a cluster to every controller that wants to know, and waits until it is
// taken. Controllers that end take none, so that one cluster that connects at the
// wrong moment would keep the manager from ending. Its watches, too, would go on.
//
// Here events are taken until all controllers have ended, the ClusterCache's among them.
type endingCache struct {
	clustercache.ClusterCache
	// controllersEnded is closed then.
	controllersEnded chan struct{}
}

// endWith lets a ClusterCache end with its manager.
func endWith(mgr ctrl.Manager, inner clustercache.ClusterCache) (clustercache.ClusterCache, error) {
	// It is there for upstream's own tests, with a warning about controllers that
	// still run, of which there are none when it is called here.
	running, ok := inner.(interface{ Shutdown() })
	if !ok {
		return nil, errors.New("this Cluster API's cluster cache cannot be shut down")
	}
	c := &endingCache{ClusterCache: inner, controllersEnded: make(chan struct{})}
	return c, mgr.Add(&afterControllers{cache: mgr.GetCache(), end: func() {
		close(c.controllersEnded)
		running.Shutdown()
	}})
}

// GetClusterSource implements clustercache.ClusterCache.
func (c *endingCache) GetClusterSource(controllerName string, mapFunc func(context.Context, client.Object) []ctrl.Request, opts ...clustercache.GetClusterSourceOption) source.Source {
	inner := c.ClusterCache.GetClusterSource(controllerName, mapFunc, opts...)
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
		ctx, end := context.WithCancel(context.WithoutCancel(ctx))
		go func() {
			<-c.controllersEnded
			end()
		}()
		return inner.Start(ctx, queue)
	})
}

// afterControllers is called when all controllers of a manager have ended: that is
// when a manager ends its caches, and what has a cache is one to it.
type afterControllers struct {
	cache cache.Cache
	end   func()
}

// GetCache makes it a cache.
func (a *afterControllers) GetCache() cache.Cache { return a.cache }

// Start implements manager.Runnable.
func (a *afterControllers) Start(ctx context.Context) error {
	<-ctx.Done()
	a.end()
	return nil
}
