package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RebalanceAnnotation on a WorkloadCluster has those of its machines replaced, one after
// the other, that would have a place today which spreads them more evenly. It is removed
// when nothing better is possible.
const RebalanceAnnotation = "capstan.dev/rebalance"

// ReplaceForSpread is the value of ReplaceAnnotation on a Machine whose turn it is.
const ReplaceForSpread = "Rebalance"

// SpreadStatus tells how unevenly the machines of a cluster are spread: how many machines
// of one pool, or of the control plane, are in one place beyond their even share, where
// that is most. All are 0 in a cluster that is spread evenly.
type SpreadStatus struct {
	// failureDomains is how many there are in one failure domain beyond the even share.
	// +optional
	FailureDomains int32 `json:"failureDomains"`

	// hosts is how many there are on one host beyond the even share.
	// +optional
	Hosts int32 `json:"hosts"`

	// volumes is how many there are on one volume beyond the even share.
	// +optional
	Volumes int32 `json:"volumes"`

	// misplaced is how many machines would be placed elsewhere today, and more evenly.
	// They stay where they are unless the annotation capstan.dev/rebalance asks for more.
	// +optional
	Misplaced int32 `json:"misplaced"`
}

// RebalanceStatus tells how far a rebalancing is.
type RebalanceStatus struct {
	// startedAt is when it was asked for. Machines that are younger stay where they are.
	// +required
	StartedAt metav1.Time `json:"startedAt"`

	// machine is the Machine whose turn it is.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Machine string `json:"machine,omitempty"`

	// replaced is how many machines have been replaced.
	// +optional
	Replaced int32 `json:"replaced"`

	// skipped are Machines that would have a better place and cannot be replaced.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	Skipped []string `json:"skipped,omitempty"`
}
