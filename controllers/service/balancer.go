package service

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cloud-provider/api"
	"k8s.io/utils/ptr"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// How soon a Service is looked at again that did nothing wrong itself. One that must
// be changed is tried again ever more seldom, as upstream does with every error.
const (
	retryWaiting = 2 * time.Second
	retryCrowded = 30 * time.Second
)

// balancer makes a cluster's LoadBalancer the load balancer of its Services.
type balancer struct {
	book    *book
	vips    *vips
	batch   *batcher
	writer  *writer
	carried func(since int64, service string) bool
	// isGone tells that there is no Service of a name.
	isGone func(name string) bool
	// turns keep upstream's controller and keeper from working on one Service at once.
	turns turns
}

// GetLoadBalancer implements cloudprovider.LoadBalancer.
func (b *balancer) GetLoadBalancer(_ context.Context, _ string, service *corev1.Service) (*corev1.LoadBalancerStatus, bool, error) {
	name := nameOf(service)
	if _, _, ok := b.book.get(name); !ok && !b.vips.uses(name) {
		// This is asked of one that shall have none.
		b.vips.met(name)
		return nil, false, nil
	}
	return b.statusOf(service), true, nil
}

// GetLoadBalancerName implements cloudprovider.LoadBalancer.
func (b *balancer) GetLoadBalancerName(context.Context, string, *corev1.Service) string {
	return b.vips.lb.Name
}

// EnsureLoadBalancer implements cloudprovider.LoadBalancer. It returns when it is known
// what the LoadBalancer is to be told, and does not wait until it is told, or carries the
// Service: that may take as long as a load-balancer VM takes to answer, and others wait
// for their turn. The address is published when it is carried, by publisher.
func (b *balancer) EnsureLoadBalancer(ctx context.Context, _ string, service *corev1.Service, _ []*corev1.Node) (*corev1.LoadBalancerStatus, error) {
	name := nameOf(service)
	defer b.turns.take(name)()
	err := b.ensure(ctx, service)
	if b.isGone(name) {
		// It was torn away meanwhile, when nobody knew that it would be in the book.
		b.strike(name)
		b.batch.soon()
	}
	if err != nil {
		return nil, inUpstreamsTerms(err)
	}
	return b.statusOf(service), nil
}

func (b *balancer) ensure(ctx context.Context, service *corev1.Service) error {
	wanted, err := askOf(service)
	if err != nil {
		// What it has already stands in the book.
		b.vips.met(nameOf(service))
		return err
	}
	if wanted.entry.VIP, err = b.vips.of(ctx, wanted); err != nil {
		return err
	}
	unwritten, err := b.book.put(wanted.entry)
	if err != nil {
		// An address that nothing is carried on is not kept from others.
		if !b.book.has(wanted.entry.Name) {
			b.vips.forget(wanted.entry.Name)
			b.batch.soon()
		}
		return err
	}
	if unwritten || b.writer.nodesChanged() {
		b.batch.soon()
	}
	return nil
}

// inUpstreamsTerms says when to try again, and tells a Service's owner what is theirs
// to know.
func inUpstreamsTerms(err error) error {
	var waiting *waitingError
	var crowded *crowdedError
	var noAddress *noAddressError
	switch {
	case errors.As(err, &waiting):
		return api.NewRetryError(err.Error(), retryWaiting)
	case errors.As(err, &noAddress) && !conditions.IsFault(noAddress.reason), errors.As(err, &noAddress) && noAddress.reason == capstanv1.ReasonInternalError:
		return api.NewRetryError("waiting for a virtual address", retryWaiting)
	case errors.As(err, &noAddress), errors.As(err, &crowded):
		return api.NewRetryError(err.Error(), retryCrowded)
	}
	return err
}

// UpdateLoadBalancer implements cloudprovider.LoadBalancer. Which nodes take part is
// read where it is written, once for all Services.
func (b *balancer) UpdateLoadBalancer(context.Context, string, *corev1.Service, []*corev1.Node) error {
	if b.writer.nodesChanged() {
		b.batch.soon()
	}
	return nil
}

// EnsureLoadBalancerDeleted implements cloudprovider.LoadBalancer. It returns when the
// LoadBalancer is told: a Service that has gone is in no new plan.
func (b *balancer) EnsureLoadBalancerDeleted(ctx context.Context, _ string, service *corev1.Service) error {
	b.withdraw(nameOf(service))
	// Even if it was not in the book, there may be an address to give back.
	return b.batch.wait(ctx)
}

// withdraw strikes a Service out when nobody else works on it.
func (b *balancer) withdraw(name string) {
	defer b.turns.take(name)()
	b.strike(name)
}

// strike takes a Service out of all that is known.
func (b *balancer) strike(name string) {
	b.vips.forget(name)
	b.book.remove(name)
}

// statusOf is what is to be published of a Service now: its address, if that is
// carried, or what is published already, if that is right.
func (b *balancer) statusOf(service *corev1.Service) *corev1.LoadBalancerStatus {
	entry, since, ok := b.book.get(nameOf(service))
	switch {
	case !ok:
		return &corev1.LoadBalancerStatus{}
	case since != 0 && b.carried(since, entry.Name), isPublished(service, entry.VIP):
		return &corev1.LoadBalancerStatus{Ingress: ingressOf(entry.VIP)}
	}
	return &corev1.LoadBalancerStatus{}
}

// ingressOf is a virtual address as Services tell it. The mode is Proxy: what arrives
// at a node has the node's own address and port as its destination, which is what the
// mode means. In the other one kube-proxy would send what pods send to the address past
// the load balancer, and judge by itself who may connect.
func ingressOf(vip string) []corev1.LoadBalancerIngress {
	return []corev1.LoadBalancerIngress{{IP: vip, IPMode: ptr.To(corev1.LoadBalancerIPModeProxy)}}
}

func isPublished(service *corev1.Service, vip string) bool {
	ingress := service.Status.LoadBalancer.Ingress
	return len(ingress) == 1 && ingress[0].IP == vip && ingress[0].Hostname == "" && ptr.Deref(ingress[0].IPMode, "") == corev1.LoadBalancerIPModeProxy
}

// nameOf is what a Service is called in a LoadBalancer. Names that could be none of
// the API's are nobody's.
func nameOf(service *corev1.Service) string {
	if len(validation.IsDNS1123Label(service.Namespace)) > 0 || len(validation.IsDNS1123Label(service.Name)) > 0 {
		return ""
	}
	return service.Namespace + "/" + service.Name
}
