package service

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// keepWorkers is how many claims are made anew at a time.
const keepWorkers = 4

// keeper claims the addresses of Services again whose claims somebody has deleted.
// Upstream's controller looks at a Service when that changes, and hears nothing of
// claims.
type keeper struct {
	services corelisters.ServiceLister
	balancer *balancer
	clock    clock.WithTicker
	// changed rings when a claim may have gone.
	changed *bell
}

func (k *keeper) run(ctx context.Context) {
	for {
		changed := k.changed.heard()
		var again <-chan time.Time
		stop := func() bool { return true }
		if wait := k.keep(ctx); wait > 0 {
			timer := k.clock.NewTimer(wait)
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

// keep claims what is lost, and returns when to try again what could not be, or 0.
func (k *keeper) keep(ctx context.Context) time.Duration {
	lost, err := k.balancer.vips.lost(ctx)
	if err != nil {
		ctrllog.FromContext(ctx).Info("It could not be found out which addresses of Services are held", "error", err.Error())
		return retryWaiting
	}
	waits := make([]time.Duration, len(lost))
	workqueue.ParallelizeUntil(ctx, keepWorkers, len(lost), func(i int) { waits[i] = k.claim(ctx, lost[i]) })
	var wait time.Duration
	for _, w := range waits {
		if w > 0 && (wait == 0 || w < wait) {
			wait = w
		}
	}
	return wait
}

// claim claims the address of a Service again, or another one if that is somebody
// else's by now, and returns when to try again if there is none, or 0.
func (k *keeper) claim(ctx context.Context, name string) time.Duration {
	defer k.balancer.turns.take(name)()
	log := ctrllog.FromContext(ctx).WithValues("Service", name)
	service := k.serviceOf(name)
	// Whoever had the turn before may have seen to it, or it has gone.
	if isLost, err := k.balancer.vips.isLost(ctx, name); err == nil && !isLost || service == nil {
		return 0
	}
	err := k.balancer.ensure(ctx, service)
	if k.serviceOf(name) == nil {
		// It was torn away meanwhile, when nobody knew that it would be in the book again.
		k.balancer.strike(name)
		k.balancer.batch.soon()
		return 0
	}
	var waiting *waitingError
	switch {
	case err == nil:
		log.Info("The claim of a Service's address was deleted, and is made again")
		return 0
	case errors.As(err, &waiting):
		return retryWaiting
	}
	log.Info("The address of a Service is lost: its claim was deleted, and cannot be made again", "error", err.Error())
	return retryCrowded
}

// serviceOf returns a Service that is looked after, or nil.
func (k *keeper) serviceOf(name string) *corev1.Service {
	namespace, plain, err := cache.SplitMetaNamespaceKey(name)
	if err != nil {
		return nil
	}
	service, err := k.services.Services(namespace).Get(plain)
	if err != nil || !isOurs(service) {
		return nil
	}
	return service
}
