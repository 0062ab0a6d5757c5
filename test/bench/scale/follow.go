package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// follower watches clusters and their pools.
type follower struct{ cache cache.Cache }

func follow(ctx context.Context, env *demoenv.Env) (*follower, error) {
	scheme, err := demoenv.NewScheme()
	if err != nil {
		return nil, err
	}
	objects, err := cache.New(env.Config, cache.Options{
		Scheme: scheme, DefaultTransform: cache.TransformStripManagedFields(),
		// All are looked at often, and never changed.
		DefaultUnsafeDisableDeepCopy: ptr.To(true),
	})
	if err != nil {
		return nil, fmt.Errorf("watching the management cluster: %w", err)
	}
	for _, object := range []client.Object{&capstanv1.WorkloadCluster{}, &capstanv1.NodePool{}} {
		if _, err := objects.GetInformer(ctx, object, cache.BlockUntilSynced(false)); err != nil {
			return nil, fmt.Errorf("watching %T: %w", object, err)
		}
	}
	// It ends with the measurement; what it could say then, nobody would hear.
	go func() { _ = objects.Start(ctx) }()
	if !objects.WaitForCacheSync(ctx) {
		return nil, context.Cause(ctx)
	}
	return &follower{cache: objects}, nil
}

// lookInterval is how often what was watched is gone through.
const lookInterval = 100 * time.Millisecond

// until looks again and again, until done says so.
func (f *follower) until(ctx context.Context, done func(view) (bool, error)) error {
	err := wait.PollUntilContextCancel(ctx, lookInterval, true, func(ctx context.Context) (bool, error) {
		now, err := f.look(ctx)
		if err != nil {
			return false, err
		}
		return done(now)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// view is what there is at one moment.
type view struct {
	clusters []capstanv1.WorkloadCluster
	pools    []capstanv1.NodePool
}

func (f *follower) look(ctx context.Context) (view, error) {
	clusters, pools := &capstanv1.WorkloadClusterList{}, &capstanv1.NodePoolList{}
	for _, list := range []client.ObjectList{clusters, pools} {
		if err := f.cache.List(ctx, list); err != nil {
			return view{}, fmt.Errorf("looking at %T: %w", list, err)
		}
	}
	return view{clusters.Items, pools.Items}, nil
}

// ready returns the clusters that are Ready, as is their pool.
func (v view) ready() []*capstanv1.WorkloadCluster {
	pools := map[client.ObjectKey]bool{}
	for i := range v.pools {
		pool := &v.pools[i]
		if demoenv.ReadyOf(pool).Status == metav1.ConditionTrue {
			pools[client.ObjectKey{Namespace: pool.Namespace, Name: pool.Spec.ClusterName}] = true
		}
	}
	var ready []*capstanv1.WorkloadCluster
	for i := range v.clusters {
		cluster := &v.clusters[i]
		if demoenv.ReadyOf(cluster).Status == metav1.ConditionTrue && pools[client.ObjectKeyFromObject(cluster)] {
			ready = append(ready, cluster)
		}
	}
	return ready
}

// waiting counts what the clusters that are not Ready wait for, by reason.
func (v view) waiting() map[string]int {
	reasons := map[string]int{}
	for i := range v.clusters {
		if ready := demoenv.ReadyOf(&v.clusters[i]); ready.Status != metav1.ConditionTrue {
			reasons[ready.Reason]++
		}
	}
	return reasons
}
