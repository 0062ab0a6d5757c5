package story

import (
	"testing"

	. "github.com/onsi/gomega"

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
