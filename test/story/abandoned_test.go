package story

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOnlyHalfMachinesOfAControlPlaneAreAbandoned(t *testing.T) {
	controlPlane, machine := metav1.OwnerReference{Kind: "KubeadmControlPlane"}, metav1.OwnerReference{Kind: "Machine"}
	set := metav1.OwnerReference{Kind: "MachineSet"}
	for name, c := range map[string]struct {
		kind   string
		owners []metav1.OwnerReference
		want   bool
	}{
		"left by the control plane":         {"HyperVMachine", []metav1.OwnerReference{controlPlane}, true},
		"so is its bootstrap configuration": {"KubeadmConfig", []metav1.OwnerReference{controlPlane}, true},
		"a whole machine":                   {"HyperVMachine", []metav1.OwnerReference{controlPlane, machine}, false},
		"left by a MachineSet":              {"HyperVMachine", []metav1.OwnerReference{set}, false},
		"left by nobody":                    {"HyperVMachine", nil, false},
		"something else":                    {"Secret", []metav1.OwnerReference{controlPlane}, false},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(abandoned(c.kind, c.owners)).To(Equal(c.want))
		})
	}
}
