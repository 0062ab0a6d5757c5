package hypervmachine

import (
	"fmt"
	"slices"
	"strings"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// wish is why a machine that is well shall give way to another.
type wish struct {
	// reason is also the value of the annotation by which Cluster API is asked.
	reason, message string
}

// wishes are all reasons of wishes.
var wishes = []string{capstanv1.ReasonHostDraining, capstanv1.ReasonReplaceRequested}

func isWish(value string) bool { return slices.Contains(wishes, value) }

// site is what is known of the hosts.
type site struct {
	// draining are the names of those that are drained.
	draining map[string]bool
}

func siteOf(hosts []capstanv1.HyperVHost) *site {
	found := &site{draining: map[string]bool{}}
	for i := range hosts {
		if hosts[i].IsDraining() {
			found.draining[hosts[i].Name] = true
		}
	}
	return found
}

// wishFor returns why a machine shall be replaced, or nil. A VM that a failover cluster
// has moved away counts for the host that it is on now.
func (s *site) wishFor(machine *clusterv1.Machine, vm *capstanv1.VirtualMachine) *wish {
	if vm != nil && s.draining[vm.CurrentHost()] {
		return &wish{capstanv1.ReasonHostDraining, fmt.Sprintf("host %s is being drained", vm.CurrentHost())}
	}
	said, asked := machine.Annotations[capstanv1.ReplaceAnnotation]
	if !asked {
		return nil
	}
	message := fmt.Sprintf("annotation %s asks for another machine", capstanv1.ReplaceAnnotation)
	if said = strings.TrimSpace(said); said != "" {
		message += fmt.Sprintf(" (%.120s)", said)
	}
	return &wish{capstanv1.ReasonReplaceRequested, message}
}
