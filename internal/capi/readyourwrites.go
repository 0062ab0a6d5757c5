package capi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

const (
	// seenInterval is how often the cache is asked for a write. A watch event
	// takes a few milliseconds.
	seenInterval = 2 * time.Millisecond
	// seenTimeout is how long a cache may lag behind before the writer's round
	// fails. What it wrote stays, and is seen by a later round.
	seenTimeout = 20 * time.Second
)

// readYourWrites is a client whose writes of Machines and MachineSets return
// once the cache that reads come from has seen them. Cluster API's reconcilers
// count those before they make more, so one that reads an old cache right after
// its own write would make a Machine twice. See docs/adr/0006.
type readYourWrites struct {
	client.Client
	cache   client.Reader
	applied applied
}

// newReadYourWrites has the signature of client.New.
func newReadYourWrites(config *rest.Config, options client.Options) (client.Client, error) {
	c, err := client.New(config, options)
	if err != nil {
		return nil, err
	}
	if options.Cache == nil || options.Cache.Reader == nil {
		return nil, errors.New("a client that waits for its cache needs a cache")
	}
	return &readYourWrites{Client: c, cache: options.Cache.Reader, applied: newApplied()}, nil
}

// Create implements client.Client.
func (c *readYourWrites) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if err := c.Client.Create(ctx, obj, opts...); err != nil {
		return err
	}
	return c.seen(ctx, obj, (&client.CreateOptions{}).ApplyOptions(opts).DryRun)
}

// Update implements client.Client.
func (c *readYourWrites) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	if err := c.Client.Update(ctx, obj, opts...); err != nil {
		return err
	}
	return c.seen(ctx, obj, (&client.UpdateOptions{}).ApplyOptions(opts).DryRun)
}

// Patch implements client.Client.
func (c *readYourWrites) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if err := c.Client.Patch(ctx, obj, patch, opts...); err != nil {
		return err
	}
	return c.seen(ctx, obj, (&client.PatchOptions{}).ApplyOptions(opts).DryRun)
}

// Delete implements client.Client.
func (c *readYourWrites) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	if err := c.Client.Delete(ctx, obj, opts...); err != nil {
		return err
	}
	uid := obj.GetUID()
	return c.wait(ctx, obj, (&client.DeleteOptions{}).ApplyOptions(opts).DryRun, func(cached client.Object, err error) bool {
		return apierrors.IsNotFound(err) ||
			err == nil && (!cached.GetDeletionTimestamp().IsZero() || uid != "" && cached.GetUID() != uid)
	})
}

// seen waits until the cache has the object as it was written, or newer. One that
// is not in the cache is either not there yet or gone again: it may be gone if it
// was being deleted when it was written, or was in the cache a moment ago.
func (c *readYourWrites) seen(ctx context.Context, obj client.Object, dryRun []string) error {
	version, wasThere := obj.GetResourceVersion(), !obj.GetDeletionTimestamp().IsZero()
	return c.wait(ctx, obj, dryRun, func(cached client.Object, err error) bool {
		if apierrors.IsNotFound(err) {
			return wasThere
		}
		if err != nil {
			return false
		}
		wasThere = true
		order, err := resourceversion.CompareResourceVersion(cached.GetResourceVersion(), version)
		return err == nil && order >= 0
	})
}

func (c *readYourWrites) wait(ctx context.Context, obj client.Object, dryRun []string, done func(client.Object, error) bool) error {
	cached, err := c.counted(obj)
	if err != nil || cached == nil || slices.Contains(dryRun, "All") {
		return err
	}
	key := client.ObjectKeyFromObject(obj)
	err = wait.PollUntilContextTimeout(ctx, seenInterval, seenTimeout, true, func(ctx context.Context) (bool, error) {
		return done(cached, c.cache.Get(ctx, key, cached)), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the cache to show %T %s as it was written: %w", cached, key, err)
	}
	return nil
}

// counted returns an empty object of the kind that the reconcilers read, or nil
// if they do not count obj's kind.
func (c *readYourWrites) counted(obj client.Object) (client.Object, error) {
	gvk, err := apiutil.GVKForObject(obj, c.Scheme())
	if err != nil {
		return nil, fmt.Errorf("telling the kind of %T: %w", obj, err)
	}
	switch gvk {
	case clusterv1.GroupVersion.WithKind("Machine"):
		return &clusterv1.Machine{}, nil
	case clusterv1.GroupVersion.WithKind("MachineSet"):
		return &clusterv1.MachineSet{}, nil
	}
	return nil, nil
}
