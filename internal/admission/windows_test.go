package admission_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func onWindows(p *nodePool) {
	p.Spec.OS = capstanv1.OSWindows
	size := testenv.NewSize(2, "4Gi", "100Gi")
	p.Spec.Size = &size
}

func withPlugin(name capstanv1.CNIName) func(*cluster) {
	return func(c *cluster) { c.Spec.Addons.CNI.Name = name }
}

var _ = Describe("A NodePool of Windows nodes", func() {
	var namespace string
	newShop := func(ctx SpecContext, with ...func(*cluster)) *cluster {
		namespace = env.Namespace(ctx, GinkgoT())
		c := testenv.NewWorkloadCluster(namespace, "shop", append(with, testenv.WithVersion("v1.35.0"))...)
		env.Create(ctx, c)
		return c
	}

	DescribeTable("is accepted in a cluster whose network plugin runs on Windows",
		func(ctx SpecContext, plugin capstanv1.CNIName) {
			newShop(ctx, withPlugin(plugin))
			Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-wind", "shop", onWindows))).To(Succeed())
		},
		Entry("Calico", capstanv1.CNICalico),
		Entry("Antrea", capstanv1.CNIAntrea),
		Entry("Flannel", capstanv1.CNIFlannel),
		Entry("one that is not told", capstanv1.CNIName("")),
	)

	It("is refused in a cluster whose network plugin does not run on Windows", func(ctx SpecContext) {
		newShop(ctx, withPlugin(capstanv1.CNICilium))
		Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-win", "shop", onWindows))).To(refuse(refusal{
			"spec.os", "the network plugin of WorkloadCluster shop, Cilium (addons.cni.name), does not run on Windows: use one that does (Antrea, Calico, Flannel), or Linux",
		}))
		Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-linux", "shop"))).To(Succeed())
	})

	It("is warned of where nobody knows the network plugin", func(ctx SpecContext) {
		newShop(ctx)
		heard := &warned{}
		config := rest.CopyConfig(env.Config)
		config.WarningHandler = heard
		c, err := client.New(config, client.Options{Scheme: env.Client.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Create(ctx, testenv.NewNodePool(namespace, "shop-linux", "shop"), client.DryRunAll)).To(Succeed())
		Expect(heard.texts).To(BeEmpty())
		Expect(c.Create(ctx, testenv.NewNodePool(namespace, "shop-win", "shop", onWindows), client.DryRunAll)).To(Succeed())
		Expect(heard.texts).To(ConsistOf(ContainSubstring("spec.os: WorkloadCluster shop does not say which network plugin it has (addons.cni.name)")))
	})

	It("is refused a name that computers cannot have", func(ctx SpecContext) {
		newShop(ctx, withPlugin(capstanv1.CNICalico))
		Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-windo", "shop", onWindows))).To(refuse(refusal{
			"metadata.name", "must have at most 9 characters for os Windows: the computer names <name>-xxxxx are made from it, which have at most 15",
		}))
	})

	It("needs no size of its own, but one that it has must hold its image", func(ctx SpecContext) {
		newShop(ctx, withPlugin(capstanv1.CNICalico))
		pool := testenv.NewNodePool(namespace, "shop-win", "shop", onWindows, func(p *nodePool) { p.Spec.Size = nil })
		Expect(tryCreate(ctx, pool)).To(Succeed())
		Expect(tryCreate(ctx, testenv.NewNodePool(namespace, "shop-win", "shop", onWindows, testenv.WithSize(testenv.NewSize(2, "4Gi", "40Gi"))))).To(refuse(refusal{
			"spec.size.bootDisk", "must be at least 48Gi, the size of VMImage windows-135",
		}))
	})

	It("keeps its cluster from a network plugin that does not run on Windows", func(ctx SpecContext) {
		c := newShop(ctx, withPlugin(capstanv1.CNICalico))
		pool := testenv.NewNodePool(namespace, "shop-win", "shop", onWindows)
		env.Create(ctx, pool)
		c.Spec.Addons.CNI.Name = capstanv1.CNICilium
		Expect(env.Client.Update(ctx, c)).To(refuse(refusal{
			"spec.addons.cni.name", "does not run on Windows, and these NodePools do: shop-win. Use one that does (Antrea, Calico, Flannel), or delete them first",
		}))
		Expect(env.Client.Delete(ctx, pool)).To(Succeed())
		Expect(env.Client.Update(ctx, c)).To(Succeed())
	})

	DescribeTable("is all that an image of Windows is for",
		func(ctx SpecContext, change func(*cluster), want refusal) {
			c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop", testenv.WithVersion("v1.35.0"), change)
			Expect(tryCreate(ctx, c)).To(refuse(want))
		},
		Entry("not for the control plane", func(c *cluster) { c.Spec.ControlPlane.Image = "windows-135" },
			refusal{"spec.controlPlane.image", "VMImage windows-135 has os Windows and kubernetesVersion v1.35.0, but os Linux and kubernetesVersion v1.35.0 are needed: name another image"}),
		Entry("not for the load balancer", func(c *cluster) { c.Spec.LoadBalancer.Image = "windows-135" },
			refusal{"spec.loadBalancer.image", "has os Windows, but load balancers run on Linux: name another image, or leave image out"}),
	)
})
