package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Apart is how strictly machines that stand in for each other are kept on different
// hosts and volumes.
// +kubebuilder:validation:Enum=Preferred;Required
type Apart string

// Ways to keep apart.
const (
	// ApartPreferred has machines share a host or volume only if there is no other.
	ApartPreferred Apart = "Preferred"
	// ApartRequired has a machine wait rather than share.
	ApartRequired Apart = "Required"
)

// DefaultSpreadWeight is what spreadWeight is where nothing is said.
const DefaultSpreadWeight = 10

// PlacementRules say on which hosts and volumes machines may be, and how far from
// each other. They hold for machines that are made from then on; a change replaces
// the machines there are, within their roll-out limits.
// +kubebuilder:validation:XValidation:rule="!has(self.volumes) || !has(self.excludedVolumes) || !self.volumes.all(v, v in self.excludedVolumes)",message="excludedVolumes excludes all of volumes, so no machine could ever be placed: take a volume out of excludedVolumes"
type PlacementRules struct {
	// hostSelector chooses the HyperVHosts by their labels. Without it, every host
	// may be taken.
	// +optional
	HostSelector *metav1.LabelSelector `json:"hostSelector,omitempty"`

	// volumes are the names of the only volumes that may be taken. Without it, all
	// may.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Volumes []string `json:"volumes,omitempty"`

	// excludedVolumes are the names of volumes that are never taken.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	ExcludedVolumes []string `json:"excludedVolumes,omitempty"`

	// apart is how strictly the machines are kept on different hosts and volumes:
	// those of one control plane, of one load balancer or of one pool among
	// themselves. With Required, a machine that could only share one waits, also in a
	// roll-out, which makes a machine before it takes one away.
	// Defaults to Preferred.
	// +optional
	Apart Apart `json:"apart,omitempty"`

	// spreadWeight is for pools, how many percentage points fuller a volume may be and
	// still be taken rather than one that has a machine of the pool. 0 goes by how full
	// volumes are alone. Machines of a control plane or load balancer share a volume
	// only if there is no other, whatever this is.
	// Defaults to 10.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	SpreadWeight *int32 `json:"spreadWeight,omitempty"`
}
