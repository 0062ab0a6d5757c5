package service

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// When a Service's owner is told what it waits for. Upstream says of it that its load
// balancer is ensured, and nothing of what comes then.
const (
	tellAfter = 5 * time.Second
	// tellAgain is how long something else that it waits for is kept back.
	tellAgain = 30 * time.Second
	// tellAtOnce is how many are told in one round: others wait to be published.
	tellAtOnce = 50
	tellRest   = time.Second
)

// Reasons of events of Services.
const (
	reasonNotCarried = "NotCarriedByLoadBalancer"
	reasonWaiting    = "WaitingForLoadBalancer"
)

// news is what there is to tell of a Service that is not carried.
type news struct{ kind, reason, message string }

// waiting is since when a Service waits, and what its owner was told last, and when.
type waiting struct {
	since, at time.Time
	last      news
}

// newsOf says what a Service waits for that is to be in the spec since a generation, of
// what load-balancer VMs tell, and nothing of one that waits for nothing.
func newsOf(lb *capstanv1.LoadBalancer, since int64, service string) news {
	for _, refused := range lb.Status.RefusedServices {
		if refused.Name == service {
			return news{corev1.EventTypeWarning, reasonNotCarried, "The load balancer does not carry what this Service asks for: " + refused.Message}
		}
	}
	var behind, silent []string
	for _, instance := range lb.Status.Instances {
		switch {
		case instance.Role != roleActive && instance.Role != roleStandby:
			silent = append(silent, instance.Name)
		case instance.AppliedGeneration < lb.Status.PlanGeneration:
			behind = append(behind, instance.Name)
		}
	}
	var wait string
	switch {
	case since == 0 || lb.Status.PlannedGeneration < since:
		wait = "the load balancer to plan this Service"
	case len(behind) > 0:
		wait = "load-balancer VM " + strings.Join(behind, ", ") + " to carry this Service"
	case len(silent) == len(lb.Status.Instances) && len(silent) > 0:
		wait = "a load-balancer VM that can be asked: none of " + strings.Join(silent, ", ") + " answers"
	case len(silent) == len(lb.Status.Instances):
		wait = "the first load-balancer VM"
	default:
		return news{}
	}
	return news{corev1.EventTypeNormal, reasonWaiting, "Waiting for " + wait}
}

// tell has owners know what their Services wait for, and returns when to look again, 0
// for not before something changes.
func (p *publisher) tell(ctx context.Context) (next time.Duration) {
	now, lb := p.clock.Now(), p.latest()
	waits := map[string]*waiting{}
	var due []*corev1.Service
	var tidings []news
	soon := func(d time.Duration) {
		if next == 0 || d < next {
			next = d
		}
	}
	for _, name := range p.balancer.book.names() {
		service, is := p.newsOf(lb, name)
		if is == (news{}) {
			continue
		}
		w := p.waits[name]
		if w == nil {
			w = &waiting{since: now}
		}
		waits[name] = w
		left := w.since.Add(tellAfter).Sub(now)
		if !w.at.IsZero() {
			left = max(left, w.at.Add(tellAgain).Sub(now))
		}
		switch {
		case w.last == is:
		case left > 0:
			soon(left)
		case len(due) == tellAtOnce:
			soon(tellRest)
		default:
			w.at, w.last = now, is
			due, tidings = append(due, service), append(tidings, is)
		}
	}
	p.waits = waits
	workqueue.ParallelizeUntil(ctx, publishWorkers, len(due), func(i int) {
		if err := p.report(ctx, due[i], tidings[i]); err != nil && ctx.Err() == nil {
			ctrllog.FromContext(ctx).Info("The owner of a Service could not be told what it waits for", "Service", nameOf(due[i]), "error", err.Error())
		}
	})
	return next
}

// newsOf returns a Service of which there is something to tell. What one has that is
// published goes on as it was, unless it asks for something else that is refused.
func (p *publisher) newsOf(lb *capstanv1.LoadBalancer, name string) (*corev1.Service, news) {
	entry, since, _ := p.balancer.book.get(name)
	is := newsOf(lb, since, name)
	if is == (news{}) {
		return nil, is
	}
	namespace, plain, err := cache.SplitMetaNamespaceKey(name)
	if err != nil {
		return nil, news{}
	}
	service, err := p.services.Services(namespace).Get(plain)
	if err != nil || !isOurs(service) || is.reason == reasonWaiting && isPublished(service, entry.VIP) {
		return nil, news{}
	}
	return service, is
}

func (p *publisher) report(ctx context.Context, service *corev1.Service, is news) error {
	now := metav1.NewTime(p.clock.Now())
	_, err := p.kube.CoreV1().Events(service.Namespace).Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: service.Namespace, Name: fmt.Sprintf("%s.%x", service.Name, now.UnixNano())},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Service", Namespace: service.Namespace, Name: service.Name, UID: service.UID, ResourceVersion: service.ResourceVersion,
		},
		Type: is.kind, Reason: is.reason, Message: is.message, Count: 1, FirstTimestamp: now, LastTimestamp: now,
		Source: corev1.EventSource{Component: "service-controller"},
	}, metav1.CreateOptions{})
	return err
}
