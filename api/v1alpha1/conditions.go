package v1alpha1

// Condition types.
const (
	// ReadyCondition sums up all others of an object.
	ReadyCondition = "Ready"

	// PausedCondition: work on the object stands still because somebody asked for it.
	PausedCondition = "Paused"

	// LoadBalancerReadyCondition: the API server's VIP is carried by at least one
	// load-balancer VM.
	LoadBalancerReadyCondition = "LoadBalancerReady"
	// ControlPlaneReadyCondition: all control-plane members are available at the
	// wanted version.
	ControlPlaneReadyCondition = "ControlPlaneReady"
	// NodePoolsReadyCondition: all NodePools of the cluster are ready.
	NodePoolsReadyCondition = "NodePoolsReady"
	// AddonsReadyCondition: all addons of the cluster are applied and well.
	AddonsReadyCondition = "AddonsReady"
	// MachinesReadyCondition: all machines of a NodePool are available.
	MachinesReadyCondition = "MachinesReady"
	// VIPAllocatedCondition: a LoadBalancer has its virtual address.
	VIPAllocatedCondition = "VIPAllocated"
	// InstancesReadyCondition: all VMs of a LoadBalancer carry its plan.
	InstancesReadyCondition = "InstancesReady"
	// InstancesApartCondition: no two VMs of a LoadBalancer are on one host.
	InstancesApartCondition = "InstancesApart"
	// InstancesUpToDateCondition: all VMs of a LoadBalancer are as its spec says.
	InstancesUpToDateCondition = "InstancesUpToDate"
	// ServicesPlannedCondition: all Services of type LoadBalancer that a LoadBalancer
	// was given are in its plan.
	ServicesPlannedCondition = "ServicesPlanned"
	// ServiceVIPsAvailableCondition: the Services of a cluster may have one more virtual
	// address. It is there where spec.maxServiceVIPs is.
	ServiceVIPsAvailableCondition = "ServiceVIPsAvailable"
	// AddressesAvailableCondition: each range of a LogicalNetwork has a free address.
	AddressesAvailableCondition = "AddressesAvailable"
	// NoneAbandonedCondition: nothing of a LogicalNetwork is held of which neither the claim
	// nor any user is left.
	NoneAbandonedCondition = "NoneAbandoned"
	// VMReadyCondition: the VirtualMachine of a HyperVMachine is ready.
	VMReadyCondition = "VirtualMachineReady"
	// BootstrappedCondition: the guest of a HyperVMachine has become a node. It is there
	// only if that has failed or takes long.
	BootstrappedCondition = "Bootstrapped"
	// AddressesAllocatedCondition: a VirtualMachine has all its addresses.
	AddressesAllocatedCondition = "AddressesAllocated"
	// PlacedCondition: host and volumes of a VirtualMachine are decided.
	PlacedCondition = "Placed"
	// ImageStagedCondition: the image lies on the volume of the boot disk.
	ImageStagedCondition = "ImageStaged"
	// RunningCondition: the VM runs on its host.
	RunningCondition = "Running"
	// SeedRetiredCondition: the bootstrap seed is detached and destroyed.
	SeedRetiredCondition = "SeedRetired"
	// ReplacingCondition: Cluster API is asked to replace a machine that nothing is wrong
	// with. It is there as long as somebody wants that, on a HyperVMachine.
	ReplacingCondition = "Replacing"
	// RebalancingCondition: machines of a cluster are replaced so that it is spread more
	// evenly. It is there as long as an annotation asks for that.
	RebalancingCondition = "Rebalancing"
	// DrainedCondition: nothing that Capstan runs is left on a host. It is there as long as
	// spec.maintenance asks for that.
	DrainedCondition = "Drained"
	// AgentConnectedCondition: the host's agent answers and is who it should be.
	AgentConnectedCondition = "AgentConnected"
	// FreeOfOrphansCondition: a host holds nothing of ours for which there is no object.
	FreeOfOrphansCondition = "FreeOfOrphans"
)

// Reasons of conditions. A reason is a constant; what it is about stands in the
// message.
const (
	ReasonReady       = "Ready"
	ReasonProgressing = "Progressing"
	ReasonDeleting    = "Deleting"
	ReasonPaused      = "Paused"

	// Waiting for something that somebody else must do.

	ReasonWaitingForWorkloadCluster  = "WaitingForWorkloadCluster"
	ReasonWaitingForLoadBalancer     = "WaitingForLoadBalancer"
	ReasonWaitingForVIP              = "WaitingForVIP"
	ReasonWaitingForInstances        = "WaitingForInstances"
	ReasonWaitingForControlPlane     = "WaitingForControlPlane"
	ReasonWaitingForNodePools        = "WaitingForNodePools"
	ReasonWaitingForMachines         = "WaitingForMachines"
	ReasonRolloutPending             = "RolloutPending"
	ReasonRolloutPaused              = "RolloutPaused"
	ReasonVersionQueued              = "VersionQueued"
	ReasonWaitingForCluster          = "WaitingForCluster"
	ReasonWaitingForClusterInfra     = "WaitingForClusterInfrastructure"
	ReasonWaitingForBootstrapData    = "WaitingForBootstrapData"
	ReasonWaitingForVirtualMachine   = "WaitingForVirtualMachine"
	ReasonWaitingForAddress          = "WaitingForAddress"
	ReasonWaitingForImage            = "WaitingForImage"
	ReasonWaitingForHost             = "WaitingForHost"
	ReasonWaitingForGuest            = "WaitingForGuest"
	ReasonWaitingForNode             = "WaitingForNode"
	ReasonWaitingForEnrolment        = "WaitingForEnrolment"
	ReasonWaitingForConfigMap        = "WaitingForConfigMap"
	ReasonWaitingForAddons           = "WaitingForAddons"
	ReasonWaitingForHealth           = "WaitingForHealth"
	ReasonWaitingForKind             = "WaitingForKind"
	ReasonWaitingForFirstContact     = "WaitingForFirstContact"
	ReasonWaitingForTurn             = "WaitingForTurn"
	ReasonWaitingForRoom             = "WaitingForRoom"
	ReasonDraining                   = "Draining"
	ReasonDrained                    = "Drained"
	ReasonHostDraining               = "HostDraining"
	ReasonReplaceRequested           = "ReplaceRequested"
	ReasonStagingImage               = "StagingImage"
	ReasonCreating                   = "Creating"
	ReasonStarting                   = "Starting"
	ReasonRunning                    = "Running"
	ReasonAllocated                  = "Allocated"
	ReasonPlaced                     = "Placed"
	ReasonStaged                     = "Staged"
	ReasonRetired                    = "Retired"
	ReasonConnected                  = "Connected"
	ReasonAvailable                  = "Available"
	ReasonApart                      = "Apart"
	ReasonUpToDate                   = "UpToDate"
	ReasonNoOrphans                  = "NoOrphans"
	ReasonNoneAbandoned              = "NoneAbandoned"
	ReasonGracePeriod                = "GracePeriod"
	ReasonForeignUser                = "ForeignUser"
	ReasonPlanned                    = "Planned"
	ReasonNotRolledOut               = "NotRolledOut"
	ReasonWaitingForChildrenToBeGone = "WaitingForChildrenToBeGone"
	ReasonWaitingForHostConfirmation = "WaitingForHostConfirmation"
	ReasonReleasedToTombstone        = "ReleasedToTombstone"

	// Faults that somebody must look at.

	ReasonClusterNotOwned          = "ClusterNotOwned"
	ReasonLogicalNetworkNotFound   = "LogicalNetworkNotFound"
	ReasonImageNotFound            = "ImageNotFound"
	ReasonNetworkFull              = "NetworkFull"
	ReasonOutOfCapacity            = "OutOfCapacity"
	ReasonUnplaceable              = "Unplaceable"
	ReasonHostUnreachable          = "HostUnreachable"
	ReasonHostLost                 = "HostLost"
	ReasonCannotRepair             = "CannotRepair"
	ReasonRepairHeld               = "RepairHeld"
	ReasonCannotReplace            = "CannotReplace"
	ReasonCannotDrain              = "CannotDrain"
	ReasonAgentCertificateMismatch = "AgentCertificateMismatch"
	ReasonAgentIncompatible        = "AgentIncompatible"
	ReasonEnrolmentFailed          = "EnrolmentFailed"
	ReasonVolumeFault              = "VolumeFault"
	ReasonNotOwned                 = "NotOwned"
	ReasonConflict                 = "Conflict"
	ReasonTransientError           = "TransientError"
	ReasonInvalidArgument          = "InvalidArgument"
	ReasonVMNotFound               = "VirtualMachineNotFound"
	ReasonVMFailed                 = "VirtualMachineFailed"
	ReasonMovedElsewhere           = "MovedElsewhere"
	ReasonPoweredOff               = "PoweredOff"
	ReasonBootTimeout              = "BootTimeout"
	ReasonBootstrapFailed          = "BootstrapFailed"
	ReasonAgentSilent              = "AgentSilent"
	ReasonAgentUnfit               = "AgentUnfit"
	ReasonEnrolmentLost            = "EnrolmentLost"
	ReasonOrphansFound             = "OrphansFound"
	ReasonOrphansReported          = "OrphansReported"
	ReasonOrphansFrozen            = "OrphansFrozen"
	ReasonSharedHost               = "SharedHost"
	ReasonClusterCAMissing         = "ClusterCAMissing"
	ReasonServicesRefused          = "ServicesRefused"
	ReasonQuotaUsedUp              = "QuotaUsedUp"
	ReasonInvalidManifests         = "InvalidManifests"
	ReasonManifestsRejected        = "ManifestsRejected"
	ReasonUnhealthy                = "Unhealthy"
	ReasonAddressTaken             = "AddressTaken"
	ReasonAddressOutOfRange        = "AddressOutOfRange"
	ReasonInternalError            = "InternalError"
	ReasonInvalidSpec              = "InvalidSpec"
)
