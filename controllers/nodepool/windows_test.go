package nodepool_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

var _ = Describe("A NodePool of Windows nodes", func() {
	onWindows := func(p *capstanv1.NodePool) { p.Name, p.Spec.OS = "shop-win", capstanv1.OSWindows }

	registration := func(ctx SpecContext, c *children) bootstrapv1.NodeRegistrationOptions {
		config := &bootstrapv1.KubeadmConfigTemplate{ObjectMeta: metav1.ObjectMeta{
			Namespace: c.pool.Namespace, Name: c.machines.Spec.Template.Spec.Bootstrap.ConfigRef.Name,
		}}
		testenv.Await(ctx, env, config)
		return config.Spec.Template.Spec.JoinConfiguration.NodeRegistration
	}

	It("boots the image of its OS, under names that computers can have", func(ctx SpecContext) {
		image := testenv.NewVMImage("windows-136", testenv.Version, func(i *capstanv1.VMImage) { i.Spec.OS = capstanv1.OSWindows })
		env.Create(ctx, image)
		c := begin(ctx, onWindows)
		Expect(c.machines.Spec.MachineNaming.Template).To(Equal("shop-win-{{ .random }}"))
		template := &infrav1.HyperVMachineTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: c.pool.Namespace, Name: machineTemplate(c.machines)}}
		Eventually(testenv.Get(ctx, env, template)).WithContext(ctx).Should(HaveField("Spec.Template.Spec", And(
			HaveField("OS", capstanv1.OSWindows), HaveField("Image", "windows-136"),
		)))
		Expect(registration(ctx, c)).To(And(
			HaveField("CRISocket", "npipe:////./pipe/containerd-containerd"),
			HaveField("Taints", HaveValue(ConsistOf(corev1.Taint{Key: "os", Value: "windows", Effect: corev1.TaintEffectNoSchedule}))),
		))

		By("telling no taints from none told, on the way through the API")
		before := c.machines.Spec.Template.Spec.Bootstrap.ConfigRef.Name
		untainted := begin(ctx, onWindows, func(p *capstanv1.NodePool) { p.Spec.Taints = []corev1.Taint{} })
		Expect(untainted.machines.Spec.Template.Spec.Bootstrap.ConfigRef.Name).NotTo(Equal(before))
		Expect(registration(ctx, untainted).Taints).To(BeNil())
	})
})
