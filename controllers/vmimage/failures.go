package vmimage

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// failures are the VMs that their hosts cannot give an image, each with the reason.
func failures(image string, vms []capstanv1.VirtualMachine) []string {
	var list []string
	for i := range vms {
		vm := &vms[i]
		if why := failureOf(vm); why != "" && vm.Spec.Image == image && vm.DeletionTimestamp.IsZero() {
			list = append(list, fmt.Sprintf("VirtualMachine %s/%s waits for it: %s", vm.Namespace, vm.Name, why))
		}
	}
	// A cache lists in no order, and each other order would be another message.
	slices.Sort(list)
	return list
}

// summary tells of the first, and how many more there are.
func summary(failures []string) string {
	if more := len(failures) - 1; more > 0 {
		return fmt.Sprintf("%s (and %d more)", failures[0], more)
	}
	return failures[0]
}

// failureOf tells why a host cannot give a VM its image, or "" if nothing is known
// to be in the way.
func failureOf(vm *capstanv1.VirtualMachine) string {
	c := conditions.Get(vm, capstanv1.ImageStagedCondition)
	if c == nil || c.Status != metav1.ConditionFalse || c.Reason != capstanv1.ReasonImageNotFound {
		return ""
	}
	return c.Message
}

// failureChanged leaves out all that VMs tell of anything else. What is made has told
// nothing yet, unless the manager has just started, when every image is looked at.
func failureChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			was, isVM := e.ObjectOld.(*capstanv1.VirtualMachine)
			is, areVMs := e.ObjectNew.(*capstanv1.VirtualMachine)
			return isVM && areVMs && (failureOf(was) != failureOf(is) ||
				failureOf(is) != "" && was.DeletionTimestamp.IsZero() != is.DeletionTimestamp.IsZero())
		},
		DeleteFunc: func(e event.DeleteEvent) bool {
			vm, isVM := e.Object.(*capstanv1.VirtualMachine)
			return isVM && failureOf(vm) != ""
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

func imageOf(_ context.Context, obj client.Object) []reconcile.Request {
	vm, ok := obj.(*capstanv1.VirtualMachine)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: vm.Spec.Image}}}
}
