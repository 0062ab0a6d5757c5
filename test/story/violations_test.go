package story

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

func machine(guid, id, mac, address string) fabricapi.VM {
	vm := fabricapi.VM{GUID: guid, Name: guid, NICs: []fabricapi.NIC{{MAC: mac, Addresses: []string{address}}}}
	if id != "" {
		vm.Stamp = &fabricapi.Stamp{ID: id}
	}
	return vm
}

func disk(volume, id, label string) fabricapi.File {
	return fabricapi.File{FileRef: fabricapi.FileRef{Volume: volume, Path: label}, Kind: fabricapi.VHDX, Label: label, Stamp: &fabricapi.Stamp{ID: id}}
}

func TestOnlookerSeesWhatMustNeverBe(t *testing.T) {
	one := machine("g1", "1", "m1", "a1")
	for name, c := range map[string]struct {
		sites []fabricapi.Site
		says  []string
	}{
		"two sound VMs":                {[]fabricapi.Site{{VMs: []fabricapi.VM{one, machine("g2", "2", "m2", "a2")}}}, nil},
		"two VMs with one identity":    {[]fabricapi.Site{{VMs: []fabricapi.VM{one, machine("g2", "1", "m2", "a2")}}}, []string{"identity 1 is held by VM g1 (g1) and VM g2 (g2)"}},
		"the same, not at one site":    {[]fabricapi.Site{{VMs: []fabricapi.VM{one}}, {VMs: []fabricapi.VM{machine("g2", "1", "m2", "a2")}}}, []string{"identity 1 is held by VM g1 (g1) and VM g2 (g2)"}},
		"two VMs with one MAC":         {[]fabricapi.Site{{VMs: []fabricapi.VM{one, machine("g2", "2", "m1", "a2")}}}, []string{"MAC m1 is held by VM g1 (g1) and VM g2 (g2)"}},
		"two VMs with one address":     {[]fabricapi.Site{{VMs: []fabricapi.VM{one, machine("g2", "2", "m2", "a1")}}}, []string{"address a1 is held by VM g1 (g1) and VM g2 (g2)"}},
		"a VM of nobody":               {[]fabricapi.Site{{VMs: []fabricapi.VM{machine("g2", "", "m2", "a2")}}}, []string{"VM g2 (g2) bears no stamp"}},
		"two disks of a VM":            {[]fabricapi.Site{{Files: []fabricapi.File{disk("v1", "1", "boot"), disk("v1", "1", "data")}}}, nil},
		"one disk of a VM, made twice": {[]fabricapi.Site{{Files: []fabricapi.File{disk("v2", "1", "boot"), disk("v1", "1", "boot")}}}, []string{"VHDX boot of identity 1 is held by v1: boot and v2: boot"}},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(violations(fabricapi.World{Sites: c.sites})).To(Equal(c.says))
		})
	}
}

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
