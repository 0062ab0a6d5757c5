package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// patience is how long a user tries again what the API server does not take now: it is
// being started, or the manager is, whose webhooks it asks. One whose clock was far ahead
// when it started shows certificates of then for half a minute after it was set right.
const patience = 2 * time.Minute

// act has the user do what they want next.
func (s *storm) act(ctx context.Context, m moment) error {
	next := s.user.next()
	s.tally.acts++
	line := next.String()
	s.screen.Step("           " + line)
	if err := s.do(ctx, next, rand.New(rand.NewPCG(s.seed, m.chance))); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}

func (s *storm) do(ctx context.Context, d doing, r *rand.Rand) error {
	w := d.of
	cluster, pools := w.objects()
	switch d.act {
	case creates:
		return s.each(ctx, func(ctx context.Context, object client.Object) error {
			return ignoreExists(s.api.Create(ctx, object))
		}, append(pools, cluster)...)
	case deletes:
		return s.each(ctx, func(ctx context.Context, object client.Object) error {
			return client.IgnoreNotFound(s.api.Delete(ctx, object))
		}, cluster)
	case scales:
		return s.patch(ctx, pools[0], `{"spec":{"replicas":%d}}`, w.workers)
	case resizes:
		return s.patch(ctx, cluster, `{"spec":{"controlPlane":{"replicas":%d}}}`, w.members)
	case upgrades:
		return s.patch(ctx, cluster, `{"spec":{"version":%q}}`, w.version)
	case publishes:
		return s.publish(ctx, w)
	case replaces:
		return s.replace(ctx, w, r)
	case drains:
		return s.patch(ctx, host(d.host), `{"spec":{"maintenance":%q}}`, capstanv1.MaintenanceDrain)
	case takesBack:
		return s.patch(ctx, host(d.host), `{"spec":{"maintenance":null}}`)
	}
	return fmt.Errorf("nobody knows how a user %s", d.act)
}

// objects are the cluster and its pools, the one for Linux first.
func (w wish) objects() (cluster client.Object, pools []client.Object) {
	pool := func(name string, os capstanv1.OS, replicas int32) {
		pools = append(pools, &capstanv1.NodePool{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
			Spec:       capstanv1.NodePoolSpec{ClusterName: w.name, OS: os, Replicas: ptr.To(replicas)},
		})
	}
	pool(w.pool(), capstanv1.OSLinux, w.workers)
	if w.windows > 0 {
		pool(w.windowsPool(), capstanv1.OSWindows, w.windows)
	}
	return &capstanv1.WorkloadCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: w.name},
		Spec: capstanv1.WorkloadClusterSpec{
			Version: w.version, LogicalNetwork: networkName, ControlPlane: capstanv1.ControlPlaneSpec{Replicas: ptr.To(w.members)},
		},
	}, pools
}

func host(name string) *capstanv1.HyperVHost {
	return &capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// replace asks for another machine in the place of one that the cluster has by now, if it
// has any.
func (s *storm) replace(ctx context.Context, of wish, r *rand.Rand) error {
	return s.persist(ctx, func(ctx context.Context) error {
		machines := &clusterv1.MachineList{}
		if err := s.api.List(ctx, machines, client.InNamespace(of.namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: of.name}); err != nil {
			return fmt.Errorf("listing the machines of %s: %w", of.key(), err)
		}
		machine, ok := choose(r, slices.DeleteFunc(machines.Items, func(m clusterv1.Machine) bool {
			return leaves(&m)
		}))
		if !ok {
			return nil
		}
		wanted := client.RawPatch(mergePatch, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"chaos"}}}`, capstanv1.ReplaceAnnotation))
		return client.IgnoreNotFound(s.api.Patch(ctx, &machine, wanted))
	})
}

const mergePatch = "application/merge-patch+json"

func (s *storm) patch(ctx context.Context, object client.Object, format string, args ...any) error {
	patch := client.RawPatch(mergePatch, fmt.Appendf(nil, format, args...))
	return s.each(ctx, func(ctx context.Context, object client.Object) error { return s.api.Patch(ctx, object, patch) }, object)
}

func (s *storm) each(ctx context.Context, do func(context.Context, client.Object) error, objects ...client.Object) error {
	for _, object := range objects {
		if err := s.persist(ctx, func(ctx context.Context) error { return do(ctx, object) }); err != nil {
			return err
		}
	}
	return nil
}

func ignoreExists(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// persist does something until it is refused for good. A person would try again what
// fails because a server is being started. Meanwhile what is due to end ends: it may be
// what is in the way.
func (s *storm) persist(outer context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(outer, patience)
	defer cancel()
	var last error
	err := wait.PollUntilContextCancel(ctx, 250*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		if err := s.endDue(outer); err != nil {
			return false, err
		}
		last = do(ctx)
		switch {
		case last == nil:
			return true, nil
		case apierrors.IsInvalid(last), apierrors.IsForbidden(last), apierrors.IsNotFound(last), apierrors.IsBadRequest(last):
			return false, last
		}
		return false, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}
