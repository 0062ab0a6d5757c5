package admission_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// apart gives a network a wire of its own.
func apart(n *capstanv1.LogicalNetwork) { n.Spec.Switch = n.Name }

// holds makes what an address in use leaves in the API.
func holds(ctx SpecContext, network, address, namespace, claim, cluster string) {
	reservation := &capstanv1.AddressReservation{
		ObjectMeta: metav1.ObjectMeta{Name: network + "-" + address, Labels: map[string]string{clusterv1.ClusterNameLabel: cluster}},
		Spec: capstanv1.AddressReservationSpec{
			LogicalNetwork: network, Address: address, ClaimRef: capstanv1.ClaimReference{Namespace: namespace, Name: claim, UID: "x"},
		},
	}
	env.Create(ctx, reservation)
	DeferCleanup(env.Client.Delete, reservation)
}

func nodes(ranges ...string) func(*capstanv1.LogicalNetwork) {
	return func(n *capstanv1.LogicalNetwork) {
		n.Spec.Subnets[0].NodeRanges = nil
		for i := 0; i < len(ranges); i += 2 {
			n.Spec.Subnets[0].NodeRanges = append(n.Spec.Subnets[0].NodeRanges, capstanv1.AddressRange{Start: ranges[i], End: ranges[i+1]})
		}
	}
}

var _ = Describe("Bad input of a LogicalNetwork", func() {
	DescribeTable("is refused, with field and fix:",
		func(ctx SpecContext, change func(*capstanv1.Subnet), want refusal) {
			Expect(tryCreate(ctx, testenv.NewLogicalNetwork("bad", apart, func(n *capstanv1.LogicalNetwork) { change(&n.Spec.Subnets[0]) }))).To(refuse(want))
		},
		Entry("the gateway inside a range of nodes", func(s *capstanv1.Subnet) { s.Gateway = "10.20.0.50" },
			refusal{"spec.subnets[0].gateway", "lies in nodeRanges[0]: the router's address is no guest's, so let the range begin after it or end before it"}),
		Entry("the gateway inside a range of VIPs", func(s *capstanv1.Subnet) { s.Gateway = "10.20.0.100" },
			refusal{"spec.subnets[0].gateway", "lies in vipRanges[0]"}),
		Entry("VIPs without room", func(s *capstanv1.Subnet) {
			s.VIPRanges[0] = capstanv1.AddressRange{Start: "10.20.0.255", End: "10.20.0.255"}
		}, refusal{"spec.subnets[0].vipRanges", "holds no usable address: widen it"}),
		Entry("a gateway elsewhere", func(s *capstanv1.Subnet) { s.Gateway = "10.21.0.1" },
			refusal{"spec.subnets[0]", "gateway must be an address in cidr"}),
		Entry("IPv6, today", func(s *capstanv1.Subnet) {
			*s = capstanv1.Subnet{
				CIDR: "fd00::/64", Gateway: "fd00::1",
				NodeRanges: []capstanv1.AddressRange{{Start: "fd00::10", End: "fd00::ff"}},
				VIPRanges:  []capstanv1.AddressRange{{Start: "fd00::100", End: "fd00::1ff"}},
			}
		}, refusal{"spec.subnets[0]", "cidr must be an IPv4 network, such as 10.0.0.0/24: IPv6 is not supported yet"}),
		Entry("neither ranges nor a pool", func(s *capstanv1.Subnet) { s.VIPRanges = nil },
			refusal{"spec.subnets[0]", "set vipRanges, or vipsFrom for a pool of another provider"}),
		Entry("ranges and a pool", func(s *capstanv1.Subnet) { s.NodesFrom = testenv.ForeignPool("theirs") },
			refusal{"spec.subnets[0]", "set nodeRanges, or nodesFrom for a pool of another provider"}),
		Entry("a pool of Capstan's own", func(s *capstanv1.Subnet) {
			s.NodeRanges, s.NodesFrom = nil, &capstanv1.PoolReference{APIGroup: "capstan.dev", Kind: "LogicalNetwork", Name: "lan"}
		}, refusal{"spec.subnets[0].nodesFrom.apiGroup", "set ranges here"}),
		Entry("ranges of another family", func(s *capstanv1.Subnet) {
			s.NodeRanges[0] = capstanv1.AddressRange{Start: "fd00::10", End: "fd00::ff"}
		}, refusal{"spec.subnets[0]", "nodeRanges must lie in cidr"}),
	)

	It("is a second subnet, of which there may be one of another family some day", func(ctx SpecContext) {
		network := testenv.NewLogicalNetwork("bad", apart)
		network.Spec.Subnets = append(network.Spec.Subnets, network.Spec.Subnets[0])
		Expect(tryCreate(ctx, network)).To(refuse(refusal{"spec.subnets", "must have at most 1 item"}))
	})

	It("is refused where the router of one is given out by another on the same wire", func(ctx SpecContext) {
		wire := func(n *capstanv1.LogicalNetwork) { n.Spec.Switch, n.Spec.VLAN = "routed", 12 }
		first := testenv.NewLogicalNetwork("net-"+env.Namespace(ctx, GinkgoT()), wire)
		env.Create(ctx, first)
		second := testenv.NewLogicalNetwork("net-"+env.Namespace(ctx, GinkgoT()), wire, nodes("10.20.0.51", "10.20.0.60"), func(n *capstanv1.LogicalNetwork) {
			n.Spec.Subnets[0].VIPRanges = []capstanv1.AddressRange{{Start: "10.20.0.110", End: "10.20.0.120"}}
		})
		Expect(tryCreate(ctx, second)).To(Succeed())
		second.Spec.Subnets[0].Gateway = "10.20.0.20"
		Expect(tryCreate(ctx, second)).To(refuse(refusal{"spec.subnets[0].gateway", "is given out by LogicalNetwork " + first.Name}))
		second.Spec.Subnets[0].Gateway = "10.20.0.2"
		nodes("10.20.0.1", "10.20.0.1", "10.20.0.51", "10.20.0.60")(second)
		Expect(tryCreate(ctx, second)).To(refuse(refusal{"spec.subnets[0].nodeRanges", "is the router of LogicalNetwork " + first.Name}))
	})
})

var _ = Describe("The ranges of a LogicalNetwork in use", func() {
	It("may grow, and shrink by what nobody has", func(ctx SpecContext) {
		network := testenv.NewLogicalNetwork("net-"+env.Namespace(ctx, GinkgoT()), apart)
		env.Create(ctx, network)
		holds(ctx, network.Name, "10.20.0.12", "team", "vm-0", "shop")
		testenv.Update(ctx, env, network, nodes("10.20.0.10", "10.20.0.99"))
		testenv.Update(ctx, env, network, nodes("10.20.0.12", "10.20.0.12"))
		testenv.Update(ctx, env, network, nodes("10.20.0.60", "10.20.0.70", "10.20.0.2", "10.20.0.20"))
	})

	It("may not shrink below use: who has what is named", func(ctx SpecContext) {
		network := testenv.NewLogicalNetwork("net-"+env.Namespace(ctx, GinkgoT()), apart)
		env.Create(ctx, network)
		for i := 10; i < 17; i++ {
			holds(ctx, network.Name, fmt.Sprintf("10.20.0.%d", i), "team", fmt.Sprintf("vm-%d", i), "shop")
		}
		holds(ctx, network.Name, "10.20.0.100", "team", "shop-vip", "")
		shrunk := func(change func(*capstanv1.LogicalNetwork)) error {
			to := network.DeepCopy()
			change(to)
			return env.Client.Update(ctx, to, client.DryRunAll)
		}
		Expect(shrunk(nodes("10.20.0.11", "10.20.0.50"))).To(refuse(refusal{"spec.subnets[0].nodeRanges",
			`Invalid value: "10.20.0.10": would no longer be given out, and is in use, as are 1 in all: 10.20.0.10 by IPAddressClaim team/vm-10 of cluster shop: delete what uses them first, or keep them in the ranges`}))
		Expect(shrunk(nodes("10.20.0.40", "10.20.0.50"))).To(refuse(refusal{"spec.subnets[0].nodeRanges",
			"10.20.0.14 by IPAddressClaim team/vm-14 of cluster shop and 2 more: delete what uses them first"}))
		Expect(shrunk(func(n *capstanv1.LogicalNetwork) { n.Spec.Subnets[0].VIPRanges[0].Start = "10.20.0.101" })).To(refuse(refusal{"spec.subnets[0].vipRanges",
			"10.20.0.100 by IPAddressClaim team/shop-vip: delete"}))
		By("becoming a router's")
		Expect(shrunk(func(n *capstanv1.LogicalNetwork) { n.Spec.Subnets[0].Gateway = "10.20.0.16" })).To(refuse(refusal{"spec.subnets[0].nodeRanges", "team/vm-16"}))
	})

	It("may be changed beside an address that they lost earlier", func(ctx SpecContext) {
		network := testenv.NewLogicalNetwork("net-"+env.Namespace(ctx, GinkgoT()), apart)
		env.Create(ctx, network)
		holds(ctx, network.Name, "10.20.0.200", "team", "vm-0", "shop")
		testenv.Update(ctx, env, network, nodes("10.20.0.10", "10.20.0.40"))
	})
})

var _ = Describe("A LogicalNetwork whose addresses another provider gives out", func() {
	fromTheirs := func(n *capstanv1.LogicalNetwork) {
		n.Spec.Subnets[0].NodeRanges, n.Spec.Subnets[0].NodesFrom = nil, testenv.ForeignPool("theirs")
	}

	It("needs no ranges, and bounds no NodePool", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		network := testenv.NewLogicalNetwork("net-"+namespace, apart, fromTheirs)
		env.Create(ctx, network, testenv.NewWorkloadCluster(namespace, "shop", testenv.WithNetwork(network.Name)))
		Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "many", "shop", testenv.WithReplicas(500)))).To(Succeed())
	})

	It("keeps its pool while it is used: a claim cannot be changed", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		network := testenv.NewLogicalNetwork("net-"+namespace, apart)
		vm := virtualMachine(namespace, "user", "linux-136", network.Name)
		env.Create(ctx, network, vm)
		to := network.DeepCopy()
		fromTheirs(to)
		Expect(env.Client.Update(ctx, to, client.DryRunAll)).To(refuse(refusal{"spec.subnets[0].nodesFrom",
			"cannot be changed while the network is used by VirtualMachine " + namespace + "/user: make another LogicalNetwork"}))
		Expect(env.Client.Delete(ctx, vm)).To(Succeed())
		Expect(env.Client.Update(ctx, to)).To(Succeed())
	})
})
