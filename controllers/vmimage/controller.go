// Package vmimage tells of every VMImage where it is staged, by what the hosts
// report, and why it is not, by what VMs wait for. Images are staged by whoever needs one on a volume, not from here.
package vmimage

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=vmimages;hypervhosts;virtualmachines,verbs=get;list;watch
// +kubebuilder:rbac:groups=capstan.dev,resources=vmimages/status,verbs=get;update;patch

// Reconciler reconciles VMImages.
type Reconciler struct {
	Client client.Client
	Events events.EventRecorder

	writer *conditions.Writer
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(_ context.Context, mgr ctrl.Manager, options controller.Options) error {
	r.writer = &conditions.Writer{Client: r.Client, Events: r.Events, Summary: capstanv1.ReadyCondition}
	return ctrl.NewControllerManagedBy(mgr).
		Named("vmimage").
		For(&capstanv1.VMImage{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&capstanv1.HyperVHost{}, handler.EnqueueRequestsFromMapFunc(r.all), builder.WithPredicates(imagesChanged())).
		Watches(&capstanv1.VirtualMachine{}, handler.EnqueueRequestsFromMapFunc(imageOf), builder.WithPredicates(failureChanged())).
		WithOptions(options).
		Complete(conditions.RetryConflicts(r))
}

// Reconcile works out where one image lies.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	image := &capstanv1.VMImage{}
	if err := r.Client.Get(ctx, req.NamespacedName, image); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	hosts := &capstanv1.HyperVHostList{}
	if err := r.Client.List(ctx, hosts); err != nil {
		return ctrl.Result{}, fmt.Errorf("listing HyperVHosts: %w", err)
	}
	vms := &capstanv1.VirtualMachineList{}
	if err := r.Client.List(ctx, vms); err != nil {
		return ctrl.Result{}, fmt.Errorf("listing VirtualMachines: %w", err)
	}
	before := image.DeepCopy()
	setStatus(image, hosts.Items, failures(image.Name, vms.Items))
	return ctrl.Result{}, r.writer.Write(ctx, before, image)
}

// setStatus works out the whole status from what the hosts report, and from why VMs
// do not get the image.
func setStatus(image *capstanv1.VMImage, hosts []capstanv1.HyperVHost, failures []string) {
	image.Status.ObservedGeneration = image.Generation
	image.Status.Staged = staged(image.Spec.SHA256, hosts)
	n := len(image.Status.Staged)
	switch {
	case n == 0 && len(failures) > 0:
		conditions.False(image, capstanv1.ReadyCondition, capstanv1.ReasonImageNotFound, "%s", summary(failures))
	case len(failures) > 0:
		conditions.True(image, capstanv1.ReadyCondition, capstanv1.ReasonReady, "staged on %s, but %s", conditions.Counted(n, "volume"), summary(failures))
	case n > 0:
		conditions.True(image, capstanv1.ReadyCondition, capstanv1.ReasonReady, "staged on %s", conditions.Counted(n, "volume"))
	default:
		conditions.True(image, capstanv1.ReadyCondition, capstanv1.ReasonReady, "to be staged where it is first needed")
	}
}

// staged lists the volumes that have an image. A failover cluster's volumes are
// listed once, whichever members report them.
func staged(sha256 string, hosts []capstanv1.HyperVHost) []string {
	var places []string
	for i := range hosts {
		h := &hosts[i]
		scope := h.Status.FailoverCluster
		if scope == "" {
			scope = h.Name
		}
		for _, v := range h.Status.Volumes {
			if slices.Contains(v.Images, sha256) {
				places = append(places, scope+"/"+v.Name)
			}
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	images := &capstanv1.VMImageList{}
	if err := r.Client.List(ctx, images); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range images.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&images.Items[i])})
	}
	return requests
}

// imagesChanged leaves out reports that say nothing new of images.
func imagesChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		was, ok := e.ObjectOld.(*capstanv1.HyperVHost)
		if !ok {
			return true
		}
		is, ok := e.ObjectNew.(*capstanv1.HyperVHost)
		return !ok || !equality.Semantic.DeepEqual(imagesOf(was), imagesOf(is))
	}}
}

func imagesOf(h *capstanv1.HyperVHost) any {
	images := map[string][]string{}
	for _, v := range h.Status.Volumes {
		images[h.Status.FailoverCluster+"/"+v.Name] = v.Images
	}
	return images
}
