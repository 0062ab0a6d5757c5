package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// chronicle notes when things came to be on the way from a Service to its address, as
// somebody who watches both API servers sees them.
type chronicle struct {
	mu sync.Mutex
	// given is when addresses were given, told when the LoadBalancer was told of
	// Services, inForce when a plan with them was in force on all its VMs, and published
	// when Services had their addresses; addresses are those.
	given, told, inForce, published map[string]time.Time
	addresses                       map[string]string
	// balancer is the LoadBalancer as it was last seen, and writes is how often it was
	// written.
	balancer *capstanv1.LoadBalancer
	writes   int
	// changed is closed when there is something new.
	changed chan struct{}
}

// watch notes what happens until ctx ends.
func watch(ctx context.Context, s *system) (*chronicle, error) {
	c := &chronicle{
		given: map[string]time.Time{}, told: map[string]time.Time{}, inForce: map[string]time.Time{}, published: map[string]time.Time{},
		addresses: map[string]string{}, changed: make(chan struct{}),
	}
	for _, follow := range []struct {
		api  client.WithWatch
		list client.ObjectList
	}{
		{s.api, &capstanv1.LoadBalancerList{}}, {s.api, &ipamv1.IPAddressList{}}, {s.workload, &corev1.ServiceList{}},
	} {
		changes, err := follow.api.Watch(ctx, follow.list, client.InNamespace(metav1.NamespaceDefault))
		if err != nil {
			return nil, fmt.Errorf("watching %T: %w", follow.list, err)
		}
		go func() {
			for event := range changes.ResultChan() {
				c.note(event.Object, time.Now())
			}
		}()
	}
	return c, nil
}

func (c *chronicle) note(object any, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch is := object.(type) {
	case *ipamv1.IPAddress:
		first(c.given, is.Spec.Address, now)
	case *corev1.Service:
		if ingress := is.Status.LoadBalancer.Ingress; len(ingress) > 0 {
			first(c.published, is.Name, now)
			c.addresses[is.Name] = ingress[0].IP
		}
	case *capstanv1.LoadBalancer:
		c.balancer = is
		c.writes++
		for _, service := range is.Spec.Services {
			first(c.told, service.Name, now)
			if carriesAll(is) {
				first(c.inForce, service.Name, now)
			}
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

func first(times map[string]time.Time, name string, now time.Time) {
	if times[name].IsZero() {
		times[name] = now
	}
}

// carriesAll tells whether all that the spec says is in force on all VMs.
func carriesAll(lb *capstanv1.LoadBalancer) bool {
	if lb.Status.PlannedGeneration < lb.Generation || len(lb.Status.RefusedServices) > 0 || len(lb.Status.Instances) == 0 {
		return false
	}
	for _, instance := range lb.Status.Instances {
		if instance.AppliedGeneration < lb.Status.PlanGeneration {
			return false
		}
	}
	return true
}

// await waits until something is seen.
func (c *chronicle) await(ctx context.Context, what string, seen func() bool) error {
	for {
		c.mu.Lock()
		done, changed := seen(), c.changed
		c.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, context.Cause(ctx))
		}
	}
}
