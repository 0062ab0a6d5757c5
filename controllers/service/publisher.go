package service

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

const (
	// publishWorkers is how many Services are written at a time.
	publishWorkers = 16
	// publishRetry is when what could not be published is tried again.
	publishRetry = 2 * time.Second
)

// publisher writes the addresses of Services into their status as soon as these are
// carried, and whenever somebody takes them out again. It tells owners of those that are
// not what they wait for.
type publisher struct {
	kube     kubernetes.Interface
	services corelisters.ServiceLister
	balancer *balancer
	clock    clock.WithTicker
	// changed rings when something may be publishable.
	changed bell
	// latest returns the LoadBalancer as it was last seen.
	latest func() *capstanv1.LoadBalancer
	// waits are the Services that wait, by name.
	waits map[string]*waiting
}

func (p *publisher) run(ctx context.Context) {
	for {
		changed := p.changed.heard()
		var again <-chan time.Time
		stop := func() bool { return true }
		wait := time.Duration(0)
		if !p.publish(ctx) {
			wait = publishRetry
		}
		if next := p.tell(ctx); wait == 0 || next > 0 && next < wait {
			wait = next
		}
		if wait > 0 {
			timer := p.clock.NewTimer(wait)
			again, stop = timer.C(), timer.Stop
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-again:
		}
		stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// publish publishes what can be, and tells whether all of that was written.
func (p *publisher) publish(ctx context.Context) bool {
	var due []*corev1.Service
	for _, name := range p.balancer.book.names() {
		if service := p.due(name); service != nil {
			due = append(due, service)
		}
	}
	failed := make([]error, len(due))
	workqueue.ParallelizeUntil(ctx, publishWorkers, len(due), func(i int) { failed[i] = p.write(ctx, due[i]) })
	well := ctx.Err() == nil
	for i, err := range failed {
		if err != nil {
			well = false
			ctrllog.FromContext(ctx).Info("The address of a Service could not be published", "Service", nameOf(due[i]), "error", err.Error())
		}
	}
	return well
}

// due returns the Service whose address is carried and not published, or nil.
func (p *publisher) due(name string) *corev1.Service {
	entry, since, ok := p.balancer.book.get(name)
	if !ok || since == 0 {
		return nil
	}
	namespace, plain, err := cache.SplitMetaNamespaceKey(name)
	if err != nil {
		return nil
	}
	service, err := p.services.Services(namespace).Get(plain)
	if err != nil || !isOurs(service) || isPublished(service, entry.VIP) || !p.balancer.carried(since, name) {
		return nil
	}
	return service
}

// write writes the address of a Service, as long as the Service is the one that was
// looked at: one that is changed meanwhile is looked at again.
func (p *publisher) write(ctx context.Context, service *corev1.Service) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": service.UID, "resourceVersion": service.ResourceVersion},
		"status":   map[string]any{"loadBalancer": p.balancer.statusOf(service)},
	})
	if err != nil {
		return fmt.Errorf("preparing the status of Service %s/%s: %w", service.Namespace, service.Name, err)
	}
	_, err = p.kube.CoreV1().Services(service.Namespace).Patch(ctx, service.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("writing the status of Service %s/%s: %w", service.Namespace, service.Name, err)
	}
	return nil
}

// isOurs tells a Service that Capstan's load balancer is for.
func isOurs(service *corev1.Service) bool {
	return service.Spec.Type == corev1.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil && service.DeletionTimestamp.IsZero()
}
