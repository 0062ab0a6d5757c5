package outage

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// Presume says on a VirtualMachine since when it is presumed lost, so that its deletion
// does not wait for a host that is not expected back; and takes that back where since is
// zero.
func Presume(ctx context.Context, c client.Client, vm *capstanv1.VirtualMachine, since time.Time) error {
	want := ""
	if !since.IsZero() {
		want = since.UTC().Format(time.RFC3339)
	}
	if vm.Annotations[capstanv1.PresumedLostAnnotation] == want {
		return nil
	}
	before := vm.DeepCopy()
	if want == "" {
		delete(vm.Annotations, capstanv1.PresumedLostAnnotation)
	} else {
		metav1.SetMetaDataAnnotation(&vm.ObjectMeta, capstanv1.PresumedLostAnnotation, want)
	}
	ctrllog.FromContext(ctx).Info("Whether the VM is presumed lost has changed", "VirtualMachine", vm.Name, "lost", want != "", "host", vm.Place().Host)
	if err := c.Patch(ctx, vm, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}),
		client.FieldOwner(capstanv1.FieldOwner)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("changing the annotation %s of VirtualMachine %s: %w", capstanv1.PresumedLostAnnotation, client.ObjectKeyFromObject(vm), err)
	}
	return nil
}
