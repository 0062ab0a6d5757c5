package virtualmachine

import (
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func on(host, volume string) func(*capstanv1.VirtualMachine) {
	return func(vm *capstanv1.VirtualMachine) {
		vm.Spec.Placement = &capstanv1.Placement{Host: host, FailoverCluster: "fc1", Disks: []capstanv1.DiskPlacement{{Name: bootDisk, Volume: volume}}}
	}
}

func TestMembersThatOneFaultCanHitTogetherAreToldOf(t *testing.T) {
	alone := func(vm *capstanv1.VirtualMachine) { vm.Spec.Placement.FailoverCluster = "" }
	moved := func(vm *capstanv1.VirtualMachine) { vm.Status.Host = "hv9" }
	worker := func(vm *capstanv1.VirtualMachine) { vm.Spec.Role = capstanv1.RoleWorker }
	for name, c := range map[string]struct {
		vm     capstanv1.VirtualMachine
		others []capstanv1.VirtualMachine
		want   string
	}{
		"nobody is near": {memberVM("c", 0, on("hv3", "csv3")), []capstanv1.VirtualMachine{memberVM("a", 2, on("hv1", "csv1"))}, ""},
		"one host": {
			memberVM("c", 0, on("hv1", "csv3")),
			[]capstanv1.VirtualMachine{memberVM("b", 1, on("hv1", "csv2")), memberVM("a", 2, on("hv1", "csv1"))},
			"c, a and b are on host hv1: one fault there hits all of them",
		},
		"one volume": {memberVM("c", 0, on("hv3", "csv1")), []capstanv1.VirtualMachine{memberVM("a", 2, on("hv1", "csv1"))}, "c and a have disks on volume csv1: one fault there hits both"},
		"both": {
			memberVM("c", 0, on("hv1", "csv1")), []capstanv1.VirtualMachine{memberVM("a", 2, on("hv1", "csv1"))},
			"c and a are on host hv1: one fault there hits both; c and a have disks on volume csv1: one fault there hits both",
		},
		"two volumes of one name":     {memberVM("c", 0, on("hv3", "csv1"), alone), []capstanv1.VirtualMachine{memberVM("a", 2, on("hv1", "csv1"), alone)}, ""},
		"one that has moved away":     {memberVM("c", 0, on("hv1", "csv3")), []capstanv1.VirtualMachine{memberVM("a", 2, on("hv1", "csv1"), moved)}, ""},
		"one whose place it takes":    {memberVM("c", 0, image("linux-2"), on("hv1", "csv1")), []capstanv1.VirtualMachine{memberVM("a", 2, on("hv1", "csv1"))}, ""},
		"one that has no place yet":   {memberVM("c", 0, on("hv1", "csv1")), []capstanv1.VirtualMachine{memberVM("a", 2)}, ""},
		"workers, which may go alone": {memberVM("c", 0, on("hv1", "csv1"), worker), []capstanv1.VirtualMachine{memberVM("a", 2, on("hv1", "csv1"), worker)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(sharing(&c.vm, append(c.others, c.vm))).To(Equal(c.want))
		})
	}
}
