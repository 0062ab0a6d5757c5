package logs

import (
	"context"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// keyCluster is Cluster API's key of the Cluster that an object belongs to.
const keyCluster = "Cluster"

// ForVM returns a context whose log follows one VM: its ID, its cluster and the
// owners of obj stand in every line, and the agents that are called with it log
// the same request. Obj is the object that stands for the VM.
func ForVM(ctx context.Context, obj metav1.Object, id, cluster string) context.Context {
	return with(ctx, obj, cluster, hostapi.LogVMID, id)
}

// ForCluster returns a context whose log names the cluster of obj, and its owners.
func ForCluster(ctx context.Context, obj metav1.Object, cluster string) context.Context {
	return with(ctx, obj, cluster)
}

func with(ctx context.Context, obj metav1.Object, cluster string, keysAndValues ...any) context.Context {
	// The last of several owners of one kind stands for them.
	named := map[string]klog.ObjectRef{}
	for _, owner := range obj.GetOwnerReferences() {
		named[owner.Kind] = klog.KRef(obj.GetNamespace(), owner.Name)
	}
	if cluster != "" {
		named[keyCluster] = klog.KRef(obj.GetNamespace(), cluster)
	}
	for _, kind := range slices.Sorted(maps.Keys(named)) {
		keysAndValues = append(keysAndValues, kind, named[kind])
	}
	ctx = ctrllog.IntoContext(ctx, ctrllog.FromContext(ctx).WithValues(keysAndValues...))
	return hostapi.WithRequestID(ctx, string(controller.ReconcileIDFromContext(ctx)))
}
