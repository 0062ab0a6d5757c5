package orphan

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// everything is the one request.
var everything = reconcile.Request{NamespacedName: client.ObjectKey{Name: "all-hosts"}}

// SetupWithManager adds the controller to a manager, unless there are to be no sweeps.
func (r *Reconciler) SetupWithManager(_ context.Context, mgr ctrl.Manager, options controller.Options) error {
	if r.Policy.Interval == 0 {
		return nil
	}
	r.prepare()
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return ctrl.NewControllerManagedBy(mgr).
		Named("orphan").
		Watches(&capstanv1.HyperVHost{}, handler.Funcs{
			CreateFunc: func(_ context.Context, _ event.CreateEvent, q queue) { q.AddAfter(everything, r.Policy.AfterArrival) },
			UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
				if after, ok := r.bringsSweep(e.ObjectOld, e.ObjectNew); ok {
					q.AddAfter(everything, after)
				}
			},
		}).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

func (r *Reconciler) prepare() {
	// The condition is not the summary of a host, and each orphan has events of its own.
	r.writer = &conditions.Writer{Client: r.Client}
	r.memory = map[hostapi.VMID]memory{}
}

// bringsSweep tells whether a change of a host need not wait for the next sweep, and how
// long it has to: an administrator has said something, or a host answers again that could
// not be swept.
func (r *Reconciler) bringsSweep(old, changed client.Object) (after time.Duration, ok bool) {
	was, isHost := old.(*capstanv1.HyperVHost)
	is, areHosts := changed.(*capstanv1.HyperVHost)
	if !isHost || !areHosts {
		return 0, false
	}
	if was.Annotations[capstanv1.RemoveOrphansAnnotation] != is.Annotations[capstanv1.RemoveOrphansAnnotation] {
		return 0, true
	}
	answers := conditions.IsTrue(is, capstanv1.AgentConnectedCondition) && !conditions.IsTrue(was, capstanv1.AgentConnectedCondition)
	return r.Policy.AfterArrival, answers
}
