package admission_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func fromConfigMap(name string) []capstanv1.ConfigMapReference {
	return []capstanv1.ConfigMapReference{{Name: name}}
}

var _ = Describe("The addons of a WorkloadCluster", func() {
	type addons = capstanv1.Addons

	DescribeTable("that could never work are refused",
		func(ctx SpecContext, change func(*addons), says string) {
			c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop")
			change(&c.Spec.Addons)
			Expect(tryCreate(ctx, c)).To(MatchError(ContainSubstring(says)))
		},
		Entry("settings of Flannel for another plugin", func(a *addons) {
			a.CNI = capstanv1.CNI{Name: capstanv1.CNICalico, Flannel: &capstanv1.FlannelSettings{}}
		}, "flannel can be set only with name Flannel"),
		Entry("settings of Flannel for another edition of it", func(a *addons) {
			a.CNI = capstanv1.CNI{Name: capstanv1.CNIFlannel, Flannel: &capstanv1.FlannelSettings{}, ConfigMapRefs: fromConfigMap("flannel")}
		}, "flannel can be set only with name Flannel"),
		Entry("a plugin without a name", func(a *addons) { a.CNI.ConfigMapRefs = fromConfigMap("net") }, "name must be set with configMapRefs"),
		Entry("a backend that there is not", func(a *addons) {
			a.CNI = capstanv1.CNI{Name: capstanv1.CNIFlannel, Flannel: &capstanv1.FlannelSettings{Backend: "UDP"}}
		}, `Unsupported value: "UDP"`),
		Entry("a repository that is none", func(a *addons) {
			a.CNI = capstanv1.CNI{Name: capstanv1.CNIFlannel, Flannel: &capstanv1.FlannelSettings{ImageRepository: "https://registry"}}
		}, "spec.addons.cni.flannel.imageRepository"),
		Entry("the network plugin's own name", func(a *addons) {
			a.Manifests = []capstanv1.AddonManifests{{Name: "cni", ConfigMapRefs: fromConfigMap("x")}}
		}, "cni is the name of the network plugin's own addon"),
		Entry("one name twice", func(a *addons) {
			a.Manifests = []capstanv1.AddonManifests{{Name: "a", ConfigMapRefs: fromConfigMap("x")}, {Name: "a", ConfigMapRefs: fromConfigMap("y")}}
		}, "Duplicate value"),
		Entry("no manifests", func(a *addons) { a.Manifests = []capstanv1.AddonManifests{{Name: "a"}} }, "spec.addons.manifests[0].configMapRefs"),
	)

	DescribeTable("keep the network of a running cluster",
		func(ctx SpecContext, before capstanv1.CNI, change func(*capstanv1.CNI), refused string) {
			c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop")
			c.Spec.Addons.CNI = before
			env.Create(ctx, c)
			changed := func() *cluster {
				wanted := c.DeepCopy()
				change(&wanted.Spec.Addons.CNI)
				return wanted
			}
			Expect(env.Client.Patch(ctx, changed(), client.MergeFrom(c), client.DryRunAll)).To(Succeed(), "nothing is applied yet")

			testenv.UpdateStatus(ctx, env, c, func(c *cluster) { c.Status.Addons = []capstanv1.AddonStatus{{Name: capstanv1.CNIAddon}} })
			Expect(env.Client.Patch(ctx, changed(), client.MergeFrom(c), client.DryRunAll)).To(Succeed(), "it waits, and was never well")

			testenv.UpdateStatus(ctx, env, c, func(c *cluster) { c.Status.Addons[0].Revision = "0123456789abcdef" })
			err := env.Client.Patch(ctx, changed(), client.MergeFrom(c), client.DryRunAll)
			if refused == "" {
				Expect(err).NotTo(HaveOccurred())
				return
			}
			Expect(err).To(MatchError(And(ContainSubstring("spec.addons.cni."+refused), ContainSubstring("annotate the WorkloadCluster with capstan.dev/allow-cni-change=true to change it nevertheless, and restart all nodes afterwards"))))
			allowed := changed()
			allowed.Annotations = map[string]string{capstanv1.AllowCNIChangeAnnotation: "true"}
			Expect(env.Client.Patch(ctx, allowed, client.MergeFrom(c), client.DryRunAll)).To(Succeed())
		},
		Entry("another plugin", capstanv1.CNI{Name: capstanv1.CNIFlannel}, func(n *capstanv1.CNI) { n.Name = capstanv1.CNICilium }, "name"),
		Entry("none", capstanv1.CNI{Name: capstanv1.CNIFlannel}, func(n *capstanv1.CNI) { *n = capstanv1.CNI{} }, "name"),
		Entry("another edition", capstanv1.CNI{Name: capstanv1.CNIFlannel}, func(n *capstanv1.CNI) { n.ConfigMapRefs = fromConfigMap("flannel") }, "configMapRefs"),
		Entry("no manifests", capstanv1.CNI{Name: capstanv1.CNICalico, ConfigMapRefs: fromConfigMap("calico")}, func(n *capstanv1.CNI) { n.ConfigMapRefs = nil }, "configMapRefs"),
		Entry("another backend", capstanv1.CNI{Name: capstanv1.CNIFlannel}, func(n *capstanv1.CNI) {
			n.Flannel = &capstanv1.FlannelSettings{Backend: capstanv1.FlannelVXLAN}
		}, "flannel.backend"),
		Entry("another repository is no other network", capstanv1.CNI{Name: capstanv1.CNIFlannel}, func(n *capstanv1.CNI) {
			n.Flannel = &capstanv1.FlannelSettings{ImageRepository: "registry.example.org/flannel"}
		}, ""),
		Entry("a newer release from another ConfigMap is no other network", capstanv1.CNI{Name: capstanv1.CNICalico, ConfigMapRefs: fromConfigMap("calico")}, func(n *capstanv1.CNI) {
			n.ConfigMapRefs = fromConfigMap("calico-3.31")
		}, ""),
	)

	It("are warned of where nobody installs the network plugin, or not on all nodes", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		answers := &warned{}
		config := rest.CopyConfig(env.Config)
		config.WarningHandler = answers
		listening, err := client.New(config, client.Options{Scheme: env.Scheme})
		Expect(err).NotTo(HaveOccurred())
		Expect(listening.Create(ctx, testenv.NewWorkloadCluster(namespace, "calico", withPlugin(capstanv1.CNICalico)), client.DryRunAll)).To(Succeed())
		Expect(answers.texts).To(ContainElement(HavePrefix("spec.addons.cni: Calico is not installed: name its manifests in configMapRefs")))

		answers.texts = nil
		env.Create(ctx, testenv.NewWorkloadCluster(namespace, "shop", withPlugin(capstanv1.CNIFlannel), testenv.WithVersion("v1.35.0")))
		Expect(listening.Create(ctx, testenv.NewNodePool(namespace, "shop-win", "shop", onWindows), client.DryRunAll)).To(Succeed())
		Expect(answers.texts).To(ContainElement(ContainSubstring("the Flannel that Capstan brings is for Linux nodes, and these NodePools are of Windows nodes: shop-win")))
	})
})
