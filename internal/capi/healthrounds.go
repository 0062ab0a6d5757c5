package capi

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// healthRounds has control planes looked at again as long as it is not known that their
// components and etcd members are well. Nothing tells of static pods that become ready,
// nor of a node that is not tainted as unreachable any more. Upstream looks again after
// 20 s if it has seen a component that is not well, and with the next resync, of ten
// minutes, if it could not see one: that is for how long a control plane would seem to
// lack a member that was booted again.
//
// It is the ClusterCache of the control planes' reconciler alone: its events are how
// that reconciler is told of what it does not watch.
type healthRounds struct {
	clustercache.ClusterCache
	controlPlanes client.Reader
	clock         clock.WithTicker
}

const (
	// healthTick is how often is looked whose turn it is.
	healthTick = time.Second
	// soonestHealthRound and latestHealthRound bound the time between two looks at a
	// control plane. In between it is half of the time for which it has not been well,
	// so that what takes long is not asked for often.
	soonestHealthRound = 2 * time.Second
	latestHealthRound  = 20 * time.Second
)

// GetClusterSource implements clustercache.ClusterCache.
func (h *healthRounds) GetClusterSource(controllerName string, mapFunc func(context.Context, client.Object) []ctrl.Request, opts ...clustercache.GetClusterSourceOption) source.Source {
	inner := h.ClusterCache.GetClusterSource(controllerName, mapFunc, opts...)
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
		if err := inner.Start(ctx, queue); err != nil {
			return err
		}
		go h.goRound(ctx, queue)
		return nil
	})
}

func (h *healthRounds) goRound(ctx context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) {
	ticker := h.clock.NewTicker(healthTick)
	defer ticker.Stop()
	looked := map[types.UID]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		list := &controlplanev1.KubeadmControlPlaneList{}
		if err := h.controlPlanes.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			// The cache is not filled yet, or has ended.
			continue
		}
		looked = enqueueUnwell(list.Items, looked, h.clock.Now(), queue.Add)
	}
}

// enqueueUnwell hands out the control planes whose turn it is, and returns when each was
// handed out last.
func enqueueUnwell(controlPlanes []controlplanev1.KubeadmControlPlane, looked map[types.UID]time.Time, now time.Time, enqueue func(ctrl.Request)) map[types.UID]time.Time {
	still := map[types.UID]time.Time{}
	for i := range controlPlanes {
		kcp := &controlPlanes[i]
		since, unwell := unwellSince(kcp)
		if !unwell {
			continue
		}
		last, known := looked[kcp.UID]
		if !known {
			// Somebody has just looked, and found it so.
			last = now
		}
		if pause := min(max(now.Sub(since)/2, soonestHealthRound), latestHealthRound); now.Sub(last) >= pause {
			enqueue(ctrl.Request{NamespacedName: client.ObjectKeyFromObject(kcp)})
			last = now
		}
		still[kcp.UID] = last
	}
	return still
}

// unwellSince tells since when it is not known that all is well with a control plane
// that has begun to answer.
func unwellSince(kcp *controlplanev1.KubeadmControlPlane) (since time.Time, unwell bool) {
	if !kcp.DeletionTimestamp.IsZero() || !ptr.Deref(kcp.Status.Initialization.ControlPlaneInitialized, false) {
		return time.Time{}, false
	}
	for _, kind := range []string{controlplanev1.KubeadmControlPlaneControlPlaneComponentsHealthyCondition, controlplanev1.KubeadmControlPlaneEtcdClusterHealthyCondition} {
		if condition := conditions.Get(kcp, kind); condition != nil && !conditions.IsTrue(kcp, kind) && condition.LastTransitionTime.After(since) {
			since, unwell = condition.LastTransitionTime.Time, true
		}
	}
	return since, unwell
}
