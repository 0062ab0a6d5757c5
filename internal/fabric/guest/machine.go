package guest

import "github.com/capstan-k8s/capstan/internal/fabric/fabricapi"

// Machine is a virtual machine as its guest finds it when it boots.
type Machine struct {
	// GUID is the firmware's identity.
	GUID string
	// Name is for people.
	Name string
	// OS is the family of operating system in its image.
	OS string
	// KubernetesVersion is the version of kubeadm and kubelet in its image. If it
	// is empty, the image has whatever version is asked for.
	KubernetesVersion string
	// Fault is what does not work in its image.
	Fault fabricapi.ImageFault
	// MACs are the addresses of its network adapters, in order.
	MACs []string
	// Seed is the content of the DVD, nil if there is none.
	Seed []byte
	// DiskDir is the folder that holds what it wrote to its boot disk.
	DiskDir string
}

// Phase is how far a guest has come.
type Phase string

// Phases of a guest.
const (
	// PhaseBooting is before the network is up.
	PhaseBooting Phase = "Booting"
	// PhaseInitialising is while cloud-init does what the seed says.
	PhaseInitialising Phase = "Initialising"
	PhaseRunning      Phase = "Running"
	// PhaseFailed is the end: it needs another seed or another disk.
	PhaseFailed Phase = "Failed"
)

// Report is what is to be seen of a guest from outside. Each report is whole but
// for the console, which has only the new lines.
type Report struct {
	Phase Phase
	// Addresses are what the guest reports to its host, by MAC address. They are
	// empty until its network is up.
	Addresses map[string][]string
	Console   []string
	// Ready tells that it does what it is for: its Node is registered, or its load
	// balancer listens.
	Ready bool
}
