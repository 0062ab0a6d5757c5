package v1alpha1

// Place is where the VM is, or is to be.
func (vm *VirtualMachine) Place() Placement {
	if vm.Spec.Placement != nil {
		return *vm.Spec.Placement
	}
	return Placement{Host: vm.Status.Host}
}

// IsOnLostHost tells whether a host that had the VM is declared lost, and no other
// host has it or may turn out to have it: another node of a failover cluster takes
// VMs over. Silence declares nothing, nor does a HyperVHost that is not there.
func (vm *VirtualMachine) IsOnLostHost(hosts []HyperVHost) bool {
	place := vm.Place()
	lost := false
	for i := range hosts {
		host := &hosts[i]
		switch {
		case host.SpeaksFor(place.FailoverCluster, place.Host):
			if !host.Spec.Lost {
				return false
			}
			lost = true
		case place.FailoverCluster != "" && !host.Spec.Lost && host.Status.Memory == nil:
			return false
		}
	}
	return lost
}
