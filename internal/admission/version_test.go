package admission_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// runs lets the cluster shop have a control plane that is brought to target, and
// whose oldest machine has lowest.
func runs(ctx context.Context, namespace, target, lowest string) {
	kcp := &controlplanev1.KubeadmControlPlane{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop-control-plane"},
		Spec: controlplanev1.KubeadmControlPlaneSpec{
			Version: target, KubeadmConfigSpec: bootstrapv1.KubeadmConfigSpec{},
			MachineTemplate: controlplanev1.KubeadmControlPlaneMachineTemplate{Spec: controlplanev1.KubeadmControlPlaneMachineTemplateSpec{
				InfrastructureRef: clusterv1.ContractVersionedObjectReference{
					APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "HyperVMachineTemplate", Name: "shop-control-plane",
				},
			}},
		},
	}
	env.Create(ctx, kcp)
	testenv.UpdateStatus(ctx, env, kcp, func(k *controlplanev1.KubeadmControlPlane) {
		k.Status.Versions = []clusterv1.StatusVersion{{Version: target, Replicas: 1}}
		if lowest != target {
			k.Status.Versions = append(k.Status.Versions, clusterv1.StatusVersion{Version: lowest, Replicas: 2})
		}
	})
}

// images are of every patch that these specs speak of. They have to be there
// before, or the version would be refused for another reason.
func images(ctx context.Context, versions ...string) {
	for _, v := range versions {
		if err := env.Client.Create(ctx, testenv.NewVMImage("patch-"+v, v)); client.IgnoreAlreadyExists(err) != nil {
			Fail(err.Error())
		}
	}
}

var _ = Describe("The version of a WorkloadCluster", func() {
	DescribeTable("can be changed, while the control plane rolls from v1.35.0 to v1.36.3,",
		func(ctx SpecContext, to string, want *refusal) {
			namespace := env.Namespace(ctx, GinkgoT())
			images(ctx, "v1.35.9", "v1.36.2", "v1.36.9")
			c := testenv.NewWorkloadCluster(namespace, "shop")
			env.Create(ctx, c)
			runs(ctx, namespace, testenv.Version, "v1.35.0")
			c.Spec.Version = to
			err := env.Client.Update(ctx, c)
			if want == nil {
				Expect(err).NotTo(HaveOccurred())
				return
			}
			Expect(err).To(refuse(*want))
		},
		Entry("to a newer patch, which takes its place", "v1.36.9", nil),
		Entry("to an older patch, which takes its place", "v1.36.2", nil),
		Entry("to the next minor version, which is queued", "v1.37.0", nil),
		Entry("but not back by a minor version", "v1.35.9", &refusal{"spec.version", "a cluster cannot go back from v1.36.3: keep it, or make a new WorkloadCluster"}),
	)

	It("can be taken back while it is queued, but not be raised once more", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		c := testenv.NewWorkloadCluster(namespace, "shop")
		env.Create(ctx, c)
		runs(ctx, namespace, "v1.35.0", "v1.35.0")
		c.Spec.Version = "v1.37.0"
		Expect(env.Client.Update(ctx, c)).To(refuse(refusal{"spec.version", "leaves out a minor version: the control plane is at v1.35.0, and v1.36.3 is queued"}))
		c.Spec.Version = "v1.35.0"
		Expect(env.Client.Update(ctx, c)).To(Succeed())
	})

	It("cannot be lowered to a patch that no machine has any more", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		images(ctx, "v1.36.2")
		c := testenv.NewWorkloadCluster(namespace, "shop")
		env.Create(ctx, c)
		runs(ctx, namespace, testenv.Version, testenv.Version)
		c.Spec.Version = "v1.36.2"
		Expect(env.Client.Update(ctx, c)).To(refuse(refusal{"spec.version", "a cluster cannot go back from v1.36.3: keep it"}))
	})

	It("cannot be raised beyond what a held pool allows, which is named with the fix", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		images(ctx, "v1.33.1", "v1.36.0")
		c := testenv.NewWorkloadCluster(namespace, "shop", testenv.WithVersion("v1.33.1"))
		pool := testenv.NewNodePool(namespace, "shop-windows", "shop", func(p *capstanv1.NodePool) { p.Spec.Version = "v1.33.1" })
		env.Create(ctx, c, pool)
		runs(ctx, namespace, "v1.36.0", "v1.36.0")
		c.Spec.Version = "v1.37.0"
		Expect(env.Client.Update(ctx, c)).To(refuse(refusal{
			"spec.version",
			"NodePool shop-windows is held at v1.33.1, and nodes may be 3 minor versions behind the control plane at most: set its spec.version to v1.36.0, or leave it out, and wait until its nodes have that",
		}))
	})

	It("needs an image for the OS of every pool of the cluster", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		c := testenv.NewWorkloadCluster(namespace, "shop", testenv.WithVersion("v1.35.0"))
		large := testenv.WithSize(testenv.NewSize(2, "4Gi", "64Gi"))
		windows := func(p *capstanv1.NodePool) { p.Spec.OS = capstanv1.OSWindows }
		env.Create(ctx, c, testenv.NewNodePool(namespace, "shop-win", "shop", large, windows), testenv.NewNodePool(namespace, "other-win", "other", large, windows))
		c.Spec.Version = testenv.Version
		err := env.Client.Update(ctx, c)
		Expect(err).To(refuse(refusal{"spec.version", "NodePool shop-win needs it: no VMImage has os Windows and kubernetesVersion v1.36.3: add one"}))
		Expect(err).NotTo(MatchError(ContainSubstring("other-win")))
	})

	It("needs no image for a pool that is held at a version of its own", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		c := testenv.NewWorkloadCluster(namespace, "shop", testenv.WithVersion("v1.35.0"))
		pool := testenv.NewNodePool(namespace, "shop-win", "shop", testenv.WithSize(testenv.NewSize(2, "4Gi", "64Gi")),
			func(p *capstanv1.NodePool) { p.Spec.OS, p.Spec.Version = capstanv1.OSWindows, "v1.35.0" })
		env.Create(ctx, c, pool)
		testenv.Update(ctx, env, c, testenv.WithVersion(testenv.Version))
	})

	It("is warned of if its image is staged nowhere", func(ctx SpecContext) {
		config, answers := rest.CopyConfig(env.Config), &warned{}
		config.WarningHandler = answers
		c, err := client.New(config, client.Options{Scheme: env.Scheme})
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Create(ctx, testenv.NewWorkloadCluster("default", "shop"), client.DryRunAll)).To(Succeed())
		Expect(answers.texts).To(ConsistOf(
			"VMImage linux-136 is staged on no volume yet: the first VM of each waits until it is fetched from https://images.example.org/linux-136.vhdx"))
	})
})

var _ = Describe("The version of a NodePool", func() {
	DescribeTable("beside a control plane at v1.36.3 that is to be raised to v1.37.0",
		func(ctx SpecContext, version string, want *refusal) {
			namespace := env.Namespace(ctx, GinkgoT())
			images(ctx, "v1.36.2", "v1.33.1", "v1.32.1")
			env.Create(ctx, testenv.NewWorkloadCluster(namespace, "shop", testenv.WithVersion("v1.37.0")))
			runs(ctx, namespace, testenv.Version, testenv.Version)
			pool := testenv.NewNodePool(namespace, "shop-linux", "shop", func(p *capstanv1.NodePool) { p.Spec.Version = version })
			if want == nil {
				Expect(tryCreate(ctx, pool)).To(Succeed())
				return
			}
			Expect(tryCreate(ctx, pool)).To(refuse(*want))
		},
		Entry("may be the control plane's", testenv.Version, nil),
		Entry("may be another patch of that", "v1.36.2", nil),
		Entry("may be what the cluster is raised to", "v1.37.0", nil),
		Entry("cannot be ahead of that", "v1.37.1", &refusal{"spec.version", "is ahead of WorkloadCluster shop at v1.37.0: raise that first"}),
		Entry("cannot be one that no node could join with", "v1.33.1", &refusal{"spec.version", "no node at it could join the control plane at v1.36.3: use a patch of that minor version, or leave it out"}),
		Entry("cannot be too far behind", "v1.32.1", &refusal{"spec.version", "nodes may be 3 minor versions behind the control plane at most, which is at v1.36.3: use v1.33.x or later"}),
		Entry("cannot be out of the supported range", "v1.38.0", &refusal{"spec.version", "is out of the supported range"}),
		Entry("cannot be malformed", "1.36", &refusal{"spec.version", "must be of the form vX.Y.Z"}),
		Entry("cannot be one without an image", "v1.36.77", &refusal{"spec.version", "no VMImage has os Linux and kubernetesVersion v1.36.77: add one (there are Linux images for v1"}),
	)

	It("may hold a pool at what it has, however many minor versions that is behind", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		env.Create(ctx, testenv.NewWorkloadCluster(namespace, "shop"))
		runs(ctx, namespace, testenv.Version, testenv.Version)
		pool := testenv.NewNodePool(namespace, "shop-linux", "shop")
		env.Create(ctx, pool)
		testenv.UpdateStatus(ctx, env, pool, func(p *capstanv1.NodePool) { p.Status.Version = "v1.35.0" })
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) { p.Spec.Version = "v1.35.0" })
	})
})
