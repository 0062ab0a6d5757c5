package v1alpha1

// HostMaintenance is what a host is made ready for.
// +kubebuilder:validation:Enum=Drain
type HostMaintenance string

// MaintenanceDrain has everything that Capstan runs on a host made anew elsewhere.
const MaintenanceDrain HostMaintenance = "Drain"

// MostDrainingVMs is how many of the VMs that are left on a host its status names.
const MostDrainingVMs = 16

// HostMaintenanceStatus tells how far a host is with its maintenance.
type HostMaintenanceStatus struct {
	// left is how many of Capstan's VMs are on the host still.
	// +optional
	Left int32 `json:"left"`

	// waiting names the first of them, and what each waits for.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Waiting []DrainingVM `json:"waiting,omitempty"`
}

// DrainingVM is a VM that is to leave a host.
type DrainingVM struct {
	// namespace of the VirtualMachine.
	// +required
	Namespace string `json:"namespace"`

	// name of the VirtualMachine, which is that of its Machine if it has one.
	// +required
	Name string `json:"name"`

	// role of the VM.
	// +required
	Role VMRole `json:"role"`

	// waitsFor says what has to happen before it is gone.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	WaitsFor string `json:"waitsFor,omitempty"`
}

// IsDraining tells whether everything that Capstan runs on the host is to be made anew
// elsewhere.
func (h *HyperVHost) IsDraining() bool { return h.Spec.Maintenance == MaintenanceDrain }

// CurrentHost is the name of the HyperVHost that has the VM, or is to have it, or "".
func (vm *VirtualMachine) CurrentHost() string {
	if vm.Status.Host != "" {
		return vm.Status.Host
	}
	return vm.Place().Host
}
