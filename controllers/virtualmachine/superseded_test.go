package virtualmachine

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/placement"
)

func memberVM(name string, age int, with ...func(*capstanv1.VirtualMachine)) capstanv1.VirtualMachine {
	vm := capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(time.Unix(int64(1000-age), 0)),
	}}
	vm.Spec.Role, vm.Spec.Group, vm.Spec.Image = capstanv1.RoleControlPlane, "shop/control-plane", "linux-1"
	vm.Spec.Size = capstanv1.MachineSize{CPUs: 2, Memory: resource.MustParse("4Gi"), BootDisk: resource.MustParse("40Gi")}
	for _, change := range with {
		change(&vm)
	}
	return vm
}

func image(name string) func(*capstanv1.VirtualMachine) {
	return func(vm *capstanv1.VirtualMachine) { vm.Spec.Image = name }
}

func beingDeleted(vm *capstanv1.VirtualMachine) {
	now := metav1.NewTime(time.Unix(2000, 0))
	vm.DeletionTimestamp = &now
}

func inDomain(domain string) func(*capstanv1.VirtualMachine) {
	return func(vm *capstanv1.VirtualMachine) { vm.Spec.FailureDomain = domain }
}

func TestAMemberTakesThePlaceOfTheOldestThatWasMadeOtherwise(t *testing.T) {
	worker := func(vm *capstanv1.VirtualMachine) { vm.Spec.Role = capstanv1.RoleWorker }
	balancer := func(vm *capstanv1.VirtualMachine) { vm.Spec.Role = capstanv1.RoleLoadBalancer }
	successorOf := func(name string) func(*capstanv1.VirtualMachine) {
		return func(vm *capstanv1.VirtualMachine) {
			vm.Annotations = map[string]string{capstanv1.SuccessorOfAnnotation: name}
		}
	}
	for name, c := range map[string]struct {
		new   capstanv1.VirtualMachine
		there []capstanv1.VirtualMachine
		going []types.UID
	}{
		"growth":            {memberVM("d", 0), []capstanv1.VirtualMachine{memberVM("a", 3), memberVM("b", 2)}, nil},
		"a new image":       {memberVM("d", 0, image("linux-2")), []capstanv1.VirtualMachine{memberVM("b", 2), memberVM("a", 3)}, []types.UID{"a"}},
		"as old as another": {memberVM("d", 0, image("linux-2")), []capstanv1.VirtualMachine{memberVM("b", 3), memberVM("a", 3)}, []types.UID{"a"}},
		"half rolled": {
			memberVM("d", 0, image("linux-2")),
			[]capstanv1.VirtualMachine{memberVM("a", 5, image("linux-2")), memberVM("b", 2), memberVM("c", 1)}, []types.UID{"b"},
		},
		"a new size": {
			memberVM("d", 0, func(vm *capstanv1.VirtualMachine) { vm.Spec.Size.CPUs = 4 }), []capstanv1.VirtualMachine{memberVM("a", 3)}, []types.UID{"a"},
		},
		"a size written otherwise": {
			memberVM("d", 0, func(vm *capstanv1.VirtualMachine) { vm.Spec.Size.Memory = resource.MustParse("4096Mi") }),
			[]capstanv1.VirtualMachine{memberVM("a", 3)}, nil,
		},
		"one that is being deleted": {memberVM("d", 0), []capstanv1.VirtualMachine{memberVM("a", 3, beingDeleted), memberVM("b", 2)}, []types.UID{"a"}},
		"another cluster's": {
			memberVM("d", 0, image("linux-2")),
			[]capstanv1.VirtualMachine{memberVM("a", 3, func(vm *capstanv1.VirtualMachine) { vm.Namespace = "other" })}, nil,
		},
		"another failure domain": {
			memberVM("d", 0, image("linux-2"), inDomain("r2")),
			[]capstanv1.VirtualMachine{memberVM("a", 3, inDomain("r1")), memberVM("b", 2, inDomain("r2"))}, []types.UID{"b"},
		},
		"a worker, of which the pool chooses the oldest itself": {memberVM("d", 0, image("linux-2"), worker), []capstanv1.VirtualMachine{memberVM("a", 3, worker)}, nil},
		"a load balancer's, which says whose": {
			memberVM("d", 0, image("linux-2"), balancer, successorOf("b")),
			[]capstanv1.VirtualMachine{memberVM("a", 3, balancer), memberVM("b", 2, balancer)}, []types.UID{"b"},
		},
		"a load balancer's, which takes nobody's": {
			memberVM("d", 0, image("linux-2"), balancer), []capstanv1.VirtualMachine{memberVM("a", 3, balancer), memberVM("b", 2, balancer, beingDeleted)}, []types.UID{"b"},
		},
		"the VM itself": {memberVM("d", 0, image("linux-2")), []capstanv1.VirtualMachine{memberVM("d", 0)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var going []types.UID
			for uid := range superseded(&c.new, c.there) {
				going = append(going, uid)
			}
			NewWithT(t).Expect(going).To(ConsistOf(c.going))
		})
	}
}

// spreadOf is how many members are on each host, the fewest first.
func spreadOf(vms []capstanv1.VirtualMachine) []int {
	counts := map[string]int{}
	for i := range vms {
		counts[vms[i].Spec.Placement.Host]++
	}
	return slices.Sorted(maps.Values(counts))
}

// TestARollOutLeavesAControlPlaneAsFarApartAsItWas rolls control planes of three
// and five members, one after the other as KubeadmControlPlane does.
func TestARollOutLeavesAControlPlaneAsFarApartAsItWas(t *testing.T) {
	for members, want := range map[int][]int{3: {1, 1, 1}, 5: {1, 2, 2}} {
		t.Run(fmt.Sprint(members), func(t *testing.T) {
			g := NewWithT(t)
			p := newPlacer(func(string) time.Time { return time.Unix(5000, 0) })
			hosts := []capstanv1.HyperVHost{host("hv1", "1Ti"), host("hv2", "1Ti"), host("hv3", "1Ti")}
			var vms []capstanv1.VirtualMachine
			add := func(name, from string) {
				vm := memberVM(name, -len(vms)-len(name), image(from))
				place, err := p.place(&vm, placement.Request{
					VM: name, Group: group(&vm), Role: placement.ControlPlane, Processors: 2, MemoryMiB: 4096,
					Disks: []placement.Disk{{Name: bootDisk, Bytes: 1 << 30}},
				}, hosts, vms)
				g.Expect(err).NotTo(HaveOccurred())
				vm.Spec.Placement, vm.Status.Phase = place, capstanv1.VMRunning
				vms = append(vms, vm)
			}
			for i := range members {
				add(fmt.Sprintf("old-%d", i), "linux-1")
			}
			g.Expect(spreadOf(vms)).To(Equal(want))
			for i := range members {
				add(fmt.Sprintf("new-%d", i), "linux-2")
				vms = vms[1:]
				g.Expect(spreadOf(vms)).To(Equal(want), "after %d members", i+1)
			}
		})
	}
}
