package loadbalancer

import (
	"context"
	"strings"

	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// tellTrouble says why the agent of a VM could not be asked, to somebody who knows
// which VM it is about. Of one that does not answer it says the same whatever was
// asked and however the connection broke, so that a status does not flip.
func tellTrouble(vm *capstanv1.VirtualMachine, err error) string {
	if lbapi.ClassOf(err) != lbapi.Unreachable {
		return strings.ReplaceAll(err.Error(), "load balancer "+vm.Name, "it")
	}
	if address := agentAddress(vm); address != "" {
		return "its agent does not answer at " + address
	}
	return "its agent does not answer"
}

// logTrouble keeps what tellTrouble leaves out for those who look closely.
func logTrouble(ctx context.Context, vm *capstanv1.VirtualMachine, err error) {
	ctrllog.FromContext(ctx).V(1).Info("The agent could not be asked", hostapi.LogVMID, vm.Spec.ID, "VirtualMachine", vm.Name, "error", err.Error())
}
