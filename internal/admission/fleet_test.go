package admission_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// forbid matches a refusal to delete what is in use.
func forbid(says ...string) gomegatypes.GomegaMatcher {
	matchers := []gomegatypes.GomegaMatcher{WithTransform(apierrors.IsForbidden, BeTrue())}
	for _, s := range says {
		matchers = append(matchers, MatchError(ContainSubstring(s)))
	}
	return And(matchers...)
}

func virtualMachine(namespace, name, image, network string) *capstanv1.VirtualMachine {
	return &capstanv1.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: capstanv1.VirtualMachineSpec{
			ClusterName: "shop", Role: capstanv1.RoleWorker, Size: testenv.NewSize(2, "4Gi", "40Gi"),
			Image: image, Networks: []capstanv1.VMNetwork{{LogicalNetwork: network}},
		},
	}
}

func hyperVMachine(namespace, name, image, network string) *infrav1.HyperVMachine {
	return &infrav1.HyperVMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       infrav1.HyperVMachineSpec{Image: image, Networks: []capstanv1.VMNetwork{{LogicalNetwork: network}}},
	}
}

func template(namespace, name, image, network string) *infrav1.HyperVMachineTemplate {
	t := &infrav1.HyperVMachineTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	t.Spec.Template.Spec = hyperVMachine(namespace, name, image, network).Spec
	return t
}

var _ = Describe("A VMImage", func() {
	It("without content is refused", func(ctx SpecContext) {
		Expect(tryCreate(ctx, testenv.NewVMImage("empty", "v1.36.3", func(i *capstanv1.VMImage) { i.Spec.Size = resource.MustParse("0") }))).
			To(refuse(refusal{"spec.size", "must be more than 0: the virtual size of the image's disk, such as 20Gi"}))
	})

	It("cannot be changed", func(ctx SpecContext) {
		image := testenv.NewVMImage("fixed-"+env.Namespace(ctx, GinkgoT()), "v1.33.1")
		env.Create(ctx, image)
		image.Spec.Source = "https://elsewhere.example.org/x.vhdx"
		Expect(env.Client.Update(ctx, image)).To(refuse(refusal{"spec", "an image cannot be changed: make a new VMImage"}))
	})

	DescribeTable("cannot be deleted while it is used by",
		func(ctx SpecContext, user func(namespace, image string) client.Object, names string) {
			namespace := env.Namespace(ctx, GinkgoT())
			image := testenv.NewVMImage("image-"+namespace, "v1.36.3")
			env.Create(ctx, image)
			obj := user(namespace, image.Name)
			env.Create(ctx, obj)
			Expect(env.Client.Delete(ctx, image)).To(forbid("it is used by "+names+" "+namespace+"/user", "roll them to another image first"))
			Expect(env.Client.Delete(ctx, obj)).To(Succeed())
			Expect(env.Client.Delete(ctx, image)).To(Succeed(), "once nothing uses it")
		},
		Entry("a VirtualMachine", func(ns, image string) client.Object { return virtualMachine(ns, "user", image, "lan") }, "VirtualMachine"),
		Entry("a HyperVMachine that has no VM yet", func(ns, image string) client.Object { return hyperVMachine(ns, "user", image, "lan") }, "HyperVMachine"),
		Entry("a template", func(ns, image string) client.Object { return template(ns, "user", image, "lan") }, "HyperVMachineTemplate"),
		Entry("a control plane that names it", func(ns, image string) client.Object {
			return testenv.NewWorkloadCluster(ns, "user", func(c *cluster) { c.Spec.ControlPlane.Image = image })
		}, "WorkloadCluster"),
		Entry("a pool that names it", func(ns, image string) client.Object {
			return testenv.NewNodePool(ns, "user", "shop", testenv.WithImage(image))
		}, "NodePool"),
		Entry("a HyperVCluster", func(ns, image string) client.Object {
			c := &infrav1.HyperVCluster{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "user"}}
			c.Spec.LogicalNetwork, c.Spec.LoadBalancer = "lan", &infrav1.LoadBalancer{LoadBalancerSettings: capstanv1.LoadBalancerSettings{Image: image}}
			return c
		}, "HyperVCluster"),
	)

	It("names the first few of many users", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		image := testenv.NewVMImage("image-"+namespace, "v1.36.3")
		env.Create(ctx, image)
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			env.Create(ctx, virtualMachine(namespace, name, image.Name, "lan"))
		}
		Expect(env.Client.Delete(ctx, image)).To(forbid("VirtualMachine " + namespace + "/e and 2 more: roll"))
	})
})

var _ = Describe("A LogicalNetwork", func() {
	DescribeTable("is refused, with field and fix, for",
		func(ctx SpecContext, change func(*capstanv1.Subnet), want refusal) {
			Expect(tryCreate(ctx, testenv.NewLogicalNetwork("bad", func(n *capstanv1.LogicalNetwork) { change(&n.Spec.Subnets[0]) }))).To(refuse(want))
		},
		Entry("VIPs among the nodes", func(s *capstanv1.Subnet) { s.VIPRanges[0].Start = "10.20.0.50" },
			refusal{"spec.subnets[0].vipRanges", "lies in nodeRanges too: an address is for VMs or virtual, not both"}),
		Entry("a range that runs backwards", func(s *capstanv1.Subnet) { s.NodeRanges[0].End = "10.20.0.2" },
			refusal{"spec.subnets[0].nodeRanges", "lies before start 10.20.0.10: exchange them"}),
		Entry("a range outside", func(s *capstanv1.Subnet) { s.NodeRanges[0].End = "10.21.0.2" },
			refusal{"spec.subnets[0]", "nodeRanges must lie in cidr"}),
		Entry("no usable address", func(s *capstanv1.Subnet) {
			s.NodeRanges[0] = capstanv1.AddressRange{Start: "10.20.0.1", End: "10.20.0.1"}
		},
			refusal{"spec.subnets[0].nodeRanges", "holds no usable address: widen it"}),
	)

	It("is refused addresses that another gives out on the same wire", func(ctx SpecContext) {
		onVLAN := func(n *capstanv1.LogicalNetwork) { n.Spec.VLAN = 7 }
		first := testenv.NewLogicalNetwork("net-"+env.Namespace(ctx, GinkgoT()), onVLAN)
		env.Create(ctx, first)
		second := testenv.NewLogicalNetwork("net-"+env.Namespace(ctx, GinkgoT()), onVLAN)
		Expect(tryCreate(ctx, second)).To(refuse(refusal{"spec.subnets[0].nodeRanges",
			"is given out by LogicalNetwork " + first.Name + " on the same switch and VLAN, too: choose ranges of its own"}))
		second.Spec.VLAN = 8
		Expect(tryCreate(ctx, second)).To(Succeed())
	})

	DescribeTable("cannot be deleted while it is used by",
		func(ctx SpecContext, user func(namespace, network string) client.Object, names string) {
			namespace := env.Namespace(ctx, GinkgoT())
			network := testenv.NewLogicalNetwork("net-"+namespace, func(n *capstanv1.LogicalNetwork) { n.Spec.Switch = namespace })
			env.Create(ctx, network)
			obj := user(namespace, network.Name)
			env.Create(ctx, obj)
			Expect(env.Client.Delete(ctx, network)).To(forbid("it is used by "+names, "delete them first"))
			Expect(env.Client.Delete(ctx, obj)).To(Succeed())
			Expect(env.Client.Delete(ctx, network)).To(Succeed(), "once nothing uses it")
		},
		Entry("a VirtualMachine", func(ns, network string) client.Object { return virtualMachine(ns, "user", "linux-136", network) }, "VirtualMachine"),
		Entry("a WorkloadCluster", func(ns, network string) client.Object {
			return testenv.NewWorkloadCluster(ns, "user", testenv.WithNetwork(network))
		}, "WorkloadCluster"),
		Entry("a HyperVMachine that has no VM yet", func(ns, network string) client.Object { return hyperVMachine(ns, "user", "linux-136", network) }, "HyperVMachine"),
		Entry("the address of a buried VM", func(ns, network string) client.Object {
			return &capstanv1.AddressReservation{
				ObjectMeta: metav1.ObjectMeta{Name: network + "-10.20.0.10"},
				Spec: capstanv1.AddressReservationSpec{
					LogicalNetwork: network, Address: "10.20.0.10", ClaimRef: capstanv1.ClaimReference{Namespace: ns, Name: "x", UID: "x"},
				},
			}
		}, "AddressReservation"),
	)
})

var _ = Describe("A HyperVHost", func() {
	It("cannot be deleted while VMs are on it, or were placed there", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		host, other := testenv.NewHyperVHost("host-"+namespace), testenv.NewHyperVHost("other-"+namespace)
		vm := virtualMachine(namespace, "user", "linux-136", "lan")
		vm.Spec.Placement = &capstanv1.Placement{Host: host.Name, Disks: []capstanv1.DiskPlacement{{Name: "boot", Volume: "Volume1"}}}
		env.Create(ctx, host, other, vm)
		fix := "set spec.maintenance to Drain and wait for its condition Drained, or set spec.lost if the host is gone for good"
		Expect(env.Client.Delete(ctx, host)).To(forbid("VirtualMachine "+namespace+"/user", fix))

		By("moved by its failover cluster")
		testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) { vm.Status.Host = other.Name })
		Expect(env.Client.Delete(ctx, other)).To(forbid("VirtualMachine "+namespace+"/user", fix))
		Expect(env.Client.Delete(ctx, host)).To(Succeed())
		Expect(env.Client.Delete(ctx, vm)).To(Succeed())
		Expect(env.Client.Delete(ctx, other)).To(Succeed())
	})
})
