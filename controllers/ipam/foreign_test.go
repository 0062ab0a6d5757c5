package ipam_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func vipsFromTheirs(n *capstanv1.LogicalNetwork) {
	n.Spec.Subnets[0].VIPRanges, n.Spec.Subnets[0].VIPsFrom = nil, testenv.ForeignPool("theirs")
}

var _ = Describe("A LogicalNetwork whose virtual addresses another provider gives out", func() {
	It("counts its own addresses alone", func(ctx SpecContext) {
		network := newNetwork(ctx, vipsFromTheirs)
		env.ExpectCondition(ctx, network, capstanv1.AddressesAvailableCondition, metav1.ConditionTrue, capstanv1.ReasonAvailable, Equal("41 addresses for nodes are free"))
		Expect(network.Status.Nodes).To(Equal(&capstanv1.AddressCounts{Total: 41, Free: 41}))
		Expect(network.Status.VIPs).To(BeNil())
	})

	It("has nothing to count where all are of others", func(ctx SpecContext) {
		network := newNetwork(ctx, vipsFromTheirs, func(n *capstanv1.LogicalNetwork) {
			n.Spec.Subnets[0].NodeRanges, n.Spec.Subnets[0].NodesFrom = nil, testenv.ForeignPool("theirs")
		})
		env.ExpectCondition(ctx, network, capstanv1.AddressesAvailableCondition, metav1.ConditionTrue, capstanv1.ReasonAvailable, Equal("another provider gives them out"))
		env.ExpectCondition(ctx, network, capstanv1.ReadyCondition, metav1.ConditionTrue, capstanv1.ReasonReady, Not(BeEmpty()))
	})

	It("tells a claim that names the network whom to ask", func(ctx SpecContext) {
		claim := newClaim(env.Namespace(ctx, GinkgoT()), "vip", newNetwork(ctx, vipsFromTheirs).Name, asking(""))
		env.Create(ctx, claim)
		env.ExpectCondition(ctx, claim, capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonInvalidSpec,
			ContainSubstring("gives out no virtual addresses: OtherPool theirs of ipam.example.org does"))
	})
})
