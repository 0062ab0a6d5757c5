package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MostOrphans is how many orphans the status of one host names. What it does not name
// is not removed either.
const MostOrphans = 64

// OrphanState is how far an orphan is.
// +kubebuilder:validation:Enum=Waiting;Reported;Frozen;Removing;Elsewhere
type OrphanState string

// States of an orphan.
const (
	// OrphanWaiting: it is removed once its grace period is over.
	OrphanWaiting OrphanState = "Waiting"
	// OrphanReported: it is removed if an administrator acknowledges it.
	OrphanReported OrphanState = "Reported"
	// OrphanFrozen: it would be removed, but something about it, or about how many there
	// are, is not as usual, so that an administrator has to acknowledge it.
	OrphanFrozen OrphanState = "Frozen"
	// OrphanRemoving: its host is asked to remove it.
	OrphanRemoving OrphanState = "Removing"
	// OrphanElsewhere: it is none. Its VirtualMachine has it on another host, and it is
	// left alone until a person moves it back or removes it.
	OrphanElsewhere OrphanState = "Elsewhere"
)

// HostOrphan is something on a host that bears this installation's stamp, and for which
// there is no object any more.
type HostOrphan struct {
	// id is the identity that it is stamped with: the UID of the object that it was made
	// for.
	// +required
	// +kubebuilder:validation:MaxLength=63
	ID string `json:"id"`

	// name of the VM, where its host can tell.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// owner is the namespace and name of the VirtualMachine that it was, where its host can
	// tell.
	// +optional
	// +kubebuilder:validation:MaxLength=507
	Owner string `json:"owner,omitempty"`

	// remnant tells that it is no whole VM, but what is left of one: disks, a seed, a
	// configuration that was never finished. Nothing can run on it.
	// +optional
	Remnant bool `json:"remnant,omitempty"`

	// volumes that its disks lie on.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Volumes []string `json:"volumes,omitempty"`

	// state is how far it is.
	// +required
	State OrphanState `json:"state"`

	// acknowledged tells that an administrator wants it to be removed.
	// +optional
	Acknowledged bool `json:"acknowledged,omitempty"`

	// firstSeen is when it was first found to have no object. The grace period counts from
	// then.
	// +required
	FirstSeen metav1.Time `json:"firstSeen"`

	// message says what it waits for.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
