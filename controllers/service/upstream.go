package service

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/cloud-provider/controllers/nodelifecycle"
	servicecontroller "k8s.io/cloud-provider/controllers/service"
	servicehelper "k8s.io/cloud-provider/service/helpers"
	controllersmetrics "k8s.io/component-base/metrics/prometheus/controllers"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// serviceWorkers is how many Services of a cluster are worked on at a time. Each
	// waits for its address, which costs nobody anything: there are as many as keep the
	// management cluster busy with claims when many Services come at once.
	serviceWorkers = 64
	// nodeMonitorPeriod is how often it is asked whether the VM of a node that is not
	// ready still exists; upstream's default.
	nodeMonitorPeriod = 5 * time.Second
)

// upstream are Kubernetes' own controllers for clouds. What they begin when they are
// made ends only when they have run: none is made before it runs.
type upstream struct {
	cluster   string
	kube      kubernetes.Interface
	informers informers.SharedInformerFactory
	cloud     *provider
	// asked is closed when there is a Service for them.
	asked chan struct{}
	once  sync.Once
}

// see looks at an object that may be a Service for them.
func (u *upstream) see(object any) {
	service, ok := object.(*corev1.Service)
	if ok && (isOurs(service) || slices.Contains(service.Finalizers, servicehelper.LoadBalancerCleanupFinalizer)) {
		u.once.Do(func() { close(u.asked) })
	}
}

// runServices runs the service controller until ctx ends, as soon as there is a Service
// for it: its workers and its queue of events are most of what a cluster costs, and many
// clusters have no such Service.
func (u *upstream) runServices(ctx context.Context) {
	select {
	case <-u.asked:
	case <-ctx.Done():
		return
	}
	core := u.informers.Core().V1()
	services, err := servicecontroller.New(u.cloud, u.kube, core.Services(), unheardNodes{core.Nodes()}, u.cluster, nil)
	if err != nil {
		ctrllog.FromContext(ctx).Error(err, "The service controller could not be made")
		return
	}
	services.Run(ctx, serviceWorkers, controllersmetrics.NewControllerManagerMetrics("capstan"))
}

// runNodes runs the controller that deletes the nodes whose VMs have gone.
func (u *upstream) runNodes(ctx context.Context) {
	nodes, err := nodelifecycle.NewCloudNodeLifecycleController(u.informers.Core().V1().Nodes(), u.kube, u.cloud, nodeMonitorPeriod)
	if err != nil {
		ctrllog.FromContext(ctx).Error(err, "The node lifecycle controller could not be made")
		return
	}
	nodes.Run(ctx, controllersmetrics.NewControllerManagerMetrics("capstan"))
}

var stripManagedFields = ctrlcache.TransformStripManagedFields()

// strip takes out of objects what nobody here reads and what makes them large.
func strip(object any) (any, error) {
	switch is := object.(type) {
	case *corev1.Node:
		is.Status.Images, is.Status.VolumesAttached, is.Status.VolumesInUse = nil, nil, nil
		delete(is.Annotations, corev1.LastAppliedConfigAnnotation)
	case *corev1.Service:
		delete(is.Annotations, corev1.LastAppliedConfigAnnotation)
	}
	return stripManagedFields(object)
}
