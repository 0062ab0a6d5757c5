package main

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// patience is how long a user tries again what the API server does not take now: it is
// being started, or the manager is, whose webhooks it asks.
const patience = time.Minute

// act has the user do what they want next.
func (s *storm) act(ctx context.Context) error {
	doing, w := s.user.next()
	s.tally.acts++
	line := fmt.Sprintf("the user %s %s: %d members, %d workers, %s", doing, w.key(), w.members, w.workers, w.version)
	s.screen.Step("           " + line)
	if err := s.do(ctx, doing, w); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}

func (s *storm) do(ctx context.Context, doing act, w wish) error {
	cluster, pool := w.objects()
	switch doing {
	case creates:
		return s.each(ctx, func(ctx context.Context, object client.Object) error {
			return ignoreExists(s.api.Create(ctx, object))
		}, cluster, pool)
	case deletes:
		return s.each(ctx, func(ctx context.Context, object client.Object) error {
			return client.IgnoreNotFound(s.api.Delete(ctx, object))
		}, cluster)
	case scales:
		return s.patch(ctx, pool, `{"spec":{"replicas":%d}}`, w.workers)
	case resizes:
		return s.patch(ctx, cluster, `{"spec":{"controlPlane":{"replicas":%d}}}`, w.members)
	case upgrades:
		return s.patch(ctx, cluster, `{"spec":{"version":%q}}`, w.version)
	}
	return fmt.Errorf("nobody knows how a user %s", doing)
}

func (w wish) objects() (*capstanv1.WorkloadCluster, *capstanv1.NodePool) {
	return &capstanv1.WorkloadCluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: w.name},
			Spec: capstanv1.WorkloadClusterSpec{
				Version: w.version, LogicalNetwork: networkName, ControlPlane: capstanv1.ControlPlaneSpec{Replicas: ptr.To(w.members)},
			},
		}, &capstanv1.NodePool{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: w.pool()},
			Spec:       capstanv1.NodePoolSpec{ClusterName: w.name, Replicas: ptr.To(w.workers)},
		}
}

func (s *storm) patch(ctx context.Context, object client.Object, format string, args ...any) error {
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, format, args...))
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
// fails because a server is being started.
func (s *storm) persist(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	err := wait.PollUntilContextCancel(ctx, 250*time.Millisecond, true, func(ctx context.Context) (bool, error) {
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
