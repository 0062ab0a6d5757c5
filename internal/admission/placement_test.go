package admission_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func selecting(labels map[string]string, expressions ...metav1.LabelSelectorRequirement) *capstanv1.PlacementRules {
	return &capstanv1.PlacementRules{HostSelector: &metav1.LabelSelector{MatchLabels: labels, MatchExpressions: expressions}}
}

func expression(key string, operator metav1.LabelSelectorOperator, values ...string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: values}
}

var _ = Describe("Rules of placement", func() {
	DescribeTable("are refused, with what contradicts what, for",
		func(ctx SpecContext, rules *capstanv1.PlacementRules, field, message string) {
			namespace := env.Namespace(ctx, GinkgoT())
			env.Create(ctx, testenv.NewWorkloadCluster(namespace, "shop"))
			Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-linux", "shop", func(p *nodePool) {
				p.Spec.Placement = rules
			}))).To(refuse(refusal{"spec.placement" + field, message}))
		},
		Entry("a label of two values", selecting(map[string]string{"site": "north"}, expression("site", metav1.LabelSelectorOpIn, "south", "west")),
			".hostSelector", "no host can ever fit: label site would have to be one of north and one of south, west"),
		Entry("a value that is ruled out", selecting(map[string]string{"site": "north"}, expression("site", metav1.LabelSelectorOpNotIn, "north")),
			".hostSelector", "label site would have to be one of north and none of north"),
		Entry("a label that is and is not there", selecting(nil, expression("ssd", metav1.LabelSelectorOpExists), expression("ssd", metav1.LabelSelectorOpDoesNotExist)),
			".hostSelector", "label ssd would have to be there and not be there"),
		Entry("an operator that is none", selecting(nil, expression("ssd", "Gt", "1")), ".hostSelector.matchExpressions[0].operator", "not a valid selector operator"),
		Entry("volumes that are all excluded", &capstanv1.PlacementRules{Volumes: []string{"csv1", "csv2"}, ExcludedVolumes: []string{"csv2", "csv3", "csv1"}},
			"", "excludedVolumes excludes all of volumes"),
		Entry("a weight below nothing", &capstanv1.PlacementRules{SpreadWeight: ptr.To[int32](-1)}, ".spreadWeight", "should be greater than or equal to 0"),
		Entry("a way to be apart that is none", &capstanv1.PlacementRules{Apart: "Far"}, ".apart", "Unsupported value"),
	)

	It("are refused for control plane and load balancer, too", func(ctx SpecContext) {
		rules := selecting(map[string]string{"site": "north"}, expression("site", metav1.LabelSelectorOpDoesNotExist))
		namespace := env.Namespace(ctx, GinkgoT())
		Expect(tryCreate(ctx, testenv.NewWorkloadCluster(namespace, "shop", func(c *capstanv1.WorkloadCluster) {
			c.Spec.ControlPlane.Placement = rules
		}))).To(refuse(refusal{"spec.controlPlane.placement.hostSelector", "no host can ever fit"}))
		Expect(tryCreate(ctx, testenv.NewWorkloadCluster(namespace, "shop", func(c *capstanv1.WorkloadCluster) {
			c.Spec.LoadBalancer.Placement = rules
		}))).To(refuse(refusal{"spec.loadBalancer.placement.hostSelector", "no host can ever fit"}))
	})

	It("are taken if a host may have such labels one day", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		env.Create(ctx, testenv.NewWorkloadCluster(namespace, "shop"))
		rules := selecting(map[string]string{"site": "north"}, expression("site", metav1.LabelSelectorOpIn, "north", "south"),
			expression("site", metav1.LabelSelectorOpExists), expression("ssd", metav1.LabelSelectorOpNotIn, "old"))
		rules.Volumes, rules.ExcludedVolumes, rules.Apart = []string{"csv1", "csv2"}, []string{"csv2"}, capstanv1.ApartRequired
		Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-linux", "shop", func(p *nodePool) { p.Spec.Placement = rules }))).To(Succeed())
	})
})

var _ = Describe("The memory that a host keeps for itself", func() {
	It("cannot be negative", func(ctx SpecContext) {
		host := testenv.NewHyperVHost("negative")
		host.Spec.ReservedMemory = resource.MustParse("-1Gi")
		Expect(tryCreate(ctx, host)).To(MatchError(ContainSubstring("reservedMemory cannot be negative")))
	})
})
