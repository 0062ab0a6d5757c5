package demoenv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// Auditor compares what there is with what there was, in the management cluster
// and on the hosts. It asks them, never the manager.
type Auditor struct {
	kinds interface {
		ServerPreferredResources() ([]*metav1.APIResourceList, error)
	}
	metadata metadata.Interface
	hosts    func(context.Context) ([]string, error)
	before   map[string]string
}

// NewAuditor returns an auditor that remembers what is there now.
func (e *Env) NewAuditor(ctx context.Context) (*Auditor, error) {
	config := rest.CopyConfig(e.Config)
	// Kinds that Kubernetes is about to drop are looked at as long as they are there.
	config.WarningHandler = rest.NoWarnings{}
	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making the auditor: %w", err)
	}
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making the auditor: %w", err)
	}
	a := &Auditor{kinds: kinds, metadata: objects, hosts: e.physical.leftovers}
	a.before, err = a.objects(ctx)
	return a, err
}

// Leftovers tells what is there now that was not there before: objects of every
// kind, finalizers, and on the hosts VMs, disks, seeds and claims. Images that
// were staged may stay.
func (a *Auditor) Leftovers(ctx context.Context) ([]string, error) {
	now, err := a.objects(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	for name, finalizers := range now {
		old, known := a.before[name]
		switch {
		case !known && finalizers != "":
			found = append(found, fmt.Sprintf("%s, held by finalizers %s", name, finalizers))
		case !known:
			found = append(found, name)
		case old != finalizers:
			found = append(found, fmt.Sprintf("finalizers %q on %s", finalizers, name))
		}
	}
	left, err := a.hosts(ctx)
	if err != nil {
		return nil, fmt.Errorf("auditing the hosts: %w", err)
	}
	found = append(found, left...)
	slices.Sort(found)
	return found, nil
}

// WaitClean waits until nothing is left, for the garbage collector may come a
// little later than the last finalizer. If something stays, the error names it.
func (a *Auditor) WaitClean(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var found []string
	err := wait.PollUntilContextCancel(ctx, 250*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		now, err := a.Leftovers(ctx)
		if err != nil {
			return false, err
		}
		found = now
		return len(found) == 0, nil
	})
	if len(found) > 0 {
		return errors.Join(fmt.Errorf("%d things are left after %s:\n  %s", len(found), patience, strings.Join(found, "\n  ")), context.Cause(ctx))
	}
	return err
}

// transient are kinds whose objects come and go by themselves.
var transient = map[string]bool{"events": true, "leases": true, "ipaddresses.networking.k8s.io": true}

// objects maps each object of each kind to its finalizers.
func (a *Auditor) objects(ctx context.Context) (map[string]string, error) {
	lists, err := a.kinds.ServerPreferredResources()
	if err != nil {
		return nil, fmt.Errorf("auditing the management cluster: %w", err)
	}
	objects := map[string]string{}
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("auditing the management cluster: %w", err)
		}
		for i := range list.APIResources {
			resource := &list.APIResources[i]
			kind := group.WithResource(resource.Name)
			if transient[resource.Name] || transient[kind.GroupResource().String()] || !slices.Contains(resource.Verbs, "list") {
				continue
			}
			if err := a.add(ctx, objects, kind, resource.Kind); err != nil {
				return nil, err
			}
		}
	}
	return objects, nil
}

func (a *Auditor) add(ctx context.Context, objects map[string]string, resource schema.GroupVersionResource, kind string) error {
	list, err := a.metadata.Resource(resource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("auditing %s: %w", resource.GroupResource(), err)
	}
	for i := range list.Items {
		item := &list.Items[i]
		name := item.Name
		if item.Namespace != "" {
			name = item.Namespace + "/" + name
		}
		key := fmt.Sprintf("%s %s (uid %s)", schema.GroupKind{Group: resource.Group, Kind: kind}, name, item.UID)
		objects[key] = strings.Join(item.Finalizers, ", ")
	}
	return nil
}
