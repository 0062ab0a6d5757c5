package v1alpha1

// Labels, annotations and finalizers.
const (
	// FieldOwner is the one field owner of everything Capstan applies.
	FieldOwner = "capstan"
	// ServicesFieldOwner is the field owner of what a LoadBalancer is told of the
	// Services in its cluster. Whoever applies the rest of it leaves that alone.
	ServicesFieldOwner = "capstan-services"

	// WorkloadClusterLabel names the WorkloadCluster an object was made for.
	WorkloadClusterLabel = "capstan.dev/workload-cluster"
	// NodePoolLabel names the NodePool an object was made for.
	NodePoolLabel = "capstan.dev/node-pool"
	// LoadBalancerLabel names the LoadBalancer a VirtualMachine belongs to.
	LoadBalancerLabel = "capstan.dev/load-balancer"
	// ClaimLabel is the UID of the IPAddressClaim an AddressReservation is for.
	ClaimLabel = "capstan.dev/claim"
	// VMIDLabel is the identity of the VM that an IPAddressClaim was made for.
	VMIDLabel = "capstan.dev/vm-id"
	// RoleLabel is the role of a VirtualMachine, in lower case.
	RoleLabel = "capstan.dev/role"

	// AddonLabel on an object in a workload cluster names the addon that it is of. Given
	// to an object that Capstan did not make, it lets the addon take that over.
	AddonLabel = "capstan.dev/addon"
	// AllowCNIChangeAnnotation on a WorkloadCluster, with the value true, lets the network
	// plugin of a running cluster be changed, which cuts off all pods that run.
	AllowCNIChangeAnnotation = "capstan.dev/allow-cni-change"

	// AddressRangeAnnotation on an IPAddressClaim says which range of the
	// LogicalNetwork to take the address from: AddressRangeNodes, the default, or
	// AddressRangeVIPs.
	AddressRangeAnnotation = "capstan.dev/address-range"
	AddressRangeNodes      = "nodes"
	AddressRangeVIPs       = "vips"

	// RequestedAddressAnnotation on an IPAddressClaim names the one address of the
	// range that it asks for.
	RequestedAddressAnnotation = "capstan.dev/requested-address"
	// ServiceVIPLabel on an IPAddressClaim is the hash of what its virtual address is
	// for: a Service of type LoadBalancer, or several that share it.
	ServiceVIPLabel = "capstan.dev/service-vip"

	// PlacedBecauseAnnotation on a VirtualMachine tells how its place was chosen, as of then.
	PlacedBecauseAnnotation = "capstan.dev/placed-because"
	// ReplaceAnnotation on a Machine asks for another machine in its place. Its value says
	// why, to whoever reads it; it may be empty.
	ReplaceAnnotation = "capstan.dev/replace"
	// ReplacedAnnotation on a VirtualMachine says why it is being replaced.
	ReplacedAnnotation = "capstan.dev/replaced"
	// PresumedLostAnnotation on a VirtualMachine says since when neither its guest nor any
	// host that can have it is heard of. Its deletion does not wait for them, and leaves it
	// to a Tombstone.
	PresumedLostAnnotation = "capstan.dev/presumed-lost"
	// SuccessorOfAnnotation on a VirtualMachine of a LoadBalancer names the one whose
	// place it takes in a roll-out, so that it may go to the same host and volume.
	SuccessorOfAnnotation = "capstan.dev/successor-of"

	// RemoveOrphansAnnotation on a HyperVHost, with the token that its condition
	// FreeOfOrphans names, has those orphans removed that wait for an administrator.
	RemoveOrphansAnnotation = "capstan.dev/remove-orphans"

	// HonouredAnnotation on a Tombstone says that nothing of its VM is left, so that it
	// keeps no address any more.
	HonouredAnnotation = "capstan.dev/honoured"

	// WorkloadClusterFinalizer and its siblings hold an object until what was made
	// for it is confirmed to be gone.
	WorkloadClusterFinalizer = "workloadcluster.capstan.dev"
	NodePoolFinalizer        = "nodepool.capstan.dev"
	LoadBalancerFinalizer    = "loadbalancer.capstan.dev"
	VirtualMachineFinalizer  = "virtualmachine.capstan.dev"
	IPAddressClaimFinalizer  = "ipam.capstan.dev"
	TombstoneFinalizer       = "tombstone.capstan.dev"

	// LoadBalancerIPAnnotation on a Service of type LoadBalancer asks for a virtual
	// address, as spec.loadBalancerIP does.
	LoadBalancerIPAnnotation = "capstan.dev/load-balancer-ip"
	// SharedVIPAnnotation on Services of type LoadBalancer lets those of one namespace
	// with the same value share a virtual address over different ports.
	SharedVIPAnnotation = "capstan.dev/shared-vip"
	// HealthCheckAnnotation on a Service of type LoadBalancer says how its nodes are
	// checked: HealthCheckKubeProxy, the default, or HealthCheckNodePort.
	HealthCheckAnnotation = "capstan.dev/health-check"
	HealthCheckKubeProxy  = "kube-proxy"
	HealthCheckNodePort   = "node-port"

	// ProviderIDScheme precedes a VM's ID in the providerID of its node.
	ProviderIDScheme = "hyperv://"
)
