package loadbalancer

import (
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// word is what other VMs say of one.
type word int

const (
	nobodyKnows word = iota
	heardOf
	notHeardOf
)

// hearsay is what those say of a VM that answer. Who does not hear it counts only as long
// as the VIPs are held by somebody who does not: else the VM may be the one that holds
// them. Who hears it is believed in any case.
func hearsay(vm *capstanv1.VirtualMachine, others []*lbapi.Status) word {
	said := nobodyKnows
	for _, status := range others {
		if status == nil {
			continue
		}
		for _, peer := range status.Peers {
			switch {
			case peer.Name != vm.Name || peer.Address != firstAddress(vm):
			case !peer.Silent:
				return heardOf
			case roleOf(status) == roleActive:
				said = notHeardOf
			}
		}
	}
	return said
}
