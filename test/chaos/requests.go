package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// ungranted is what was asked for and has not come, though it is not said either that it
// cannot: a host that is not drained, machines that were not replaced.
func (s *storm) ungranted(ctx context.Context) ([]finding, error) {
	var found []finding
	if name := s.user.drained; name != "" {
		host := host(name)
		if err := s.api.Get(ctx, client.ObjectKeyFromObject(host), host); err != nil {
			return nil, fmt.Errorf("reading how far host %s is drained: %w", name, err)
		}
		if lack := ungrantedBy(host.Status.Conditions, capstanv1.DrainedCondition, capstanv1.ReasonCannotDrain); lack != "" {
			found = append(found, finding{stuck, fmt.Sprintf("HyperVHost %s is to be drained: %s", name, lack)})
		}
	}
	machines := &clusterv1.MachineList{}
	if err := s.api.List(ctx, machines); err != nil {
		return nil, fmt.Errorf("reading which machines are to be replaced: %w", err)
	}
	for i := range machines.Items {
		machine := &machines.Items[i]
		if _, asked := machine.Annotations[capstanv1.ReplaceAnnotation]; !asked {
			continue
		}
		ours := &infrav1.HyperVMachine{}
		key := client.ObjectKey{Namespace: machine.Namespace, Name: machine.Spec.InfrastructureRef.Name}
		if err := client.IgnoreNotFound(s.api.Get(ctx, key, ours)); err != nil {
			return nil, fmt.Errorf("reading how far HyperVMachine %s is replaced: %w", key, err)
		}
		if lack := ungrantedBy(ours.Status.Conditions, capstanv1.ReplacingCondition, capstanv1.ReasonCannotReplace); lack != "" {
			found = append(found, finding{stuck, fmt.Sprintf("Machine %s/%s is to be replaced and still there: %s", machine.Namespace, machine.Name, lack)})
		}
	}
	return found, nil
}

// ungrantedBy tells what a condition says of a request that is not granted, unless it
// says for good that it cannot be.
func ungrantedBy(conditions []metav1.Condition, kind, cannot string) string {
	switch c := meta.FindStatusCondition(conditions, kind); {
	case c == nil:
		return "nothing is said of it"
	case c.Reason == cannot, kind == capstanv1.DrainedCondition && c.Status == metav1.ConditionTrue:
		return ""
	default:
		return c.Reason + ": " + c.Message
	}
}
