package admission_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

type cluster = capstanv1.WorkloadCluster

var _ = Describe("A WorkloadCluster", func() {
	DescribeTable("is refused, with field and fix, for",
		func(ctx SpecContext, change func(*cluster), want refusal) {
			Expect(tryCreate(ctx, testenv.NewWorkloadCluster("default", "shop", change))).To(refuse(want))
		},
		Entry("a version without v", func(c *cluster) { c.Spec.Version = "1.36.3" },
			refusal{"spec.version", "must be of the form vX.Y.Z, such as v1.36.3"}),
		Entry("a version without a patch", func(c *cluster) { c.Spec.Version = "v1.36" },
			refusal{"spec.version", "must be of the form vX.Y.Z"}),
		Entry("a pre-release", func(c *cluster) { c.Spec.Version = "v1.36.3-rc.1" },
			refusal{"spec.version", "must be of the form vX.Y.Z"}),
		Entry("a version that is too old", func(c *cluster) { c.Spec.Version = "v1.30.9" },
			refusal{"spec.version", "is out of the supported range: use v1.31.x to v1.37.x"}),
		Entry("a version that is too new", func(c *cluster) { c.Spec.Version = "v1.38.0" },
			refusal{"spec.version", "is out of the supported range: use v1.31.x to v1.37.x"}),
		Entry("another major version", func(c *cluster) { c.Spec.Version = "v2.0.0" },
			refusal{"spec.version", "is out of the supported range"}),
		Entry("a version without an image", func(c *cluster) { c.Spec.Version = "v1.34.7" },
			refusal{"spec.version", "no VMImage has os Linux and kubernetesVersion v1.34.7: add one (there are Linux images for v1"}),
		Entry("an image of another version", func(c *cluster) { c.Spec.ControlPlane.Image = "linux-135" },
			refusal{"spec.controlPlane.image", "name another image"}),
		Entry("an image that is not there", func(c *cluster) { c.Spec.ControlPlane.Image = "linus" },
			refusal{"spec.controlPlane.image", "VMImage linus does not exist: add it"}),
		Entry("a load balancer's image that is not there", func(c *cluster) { c.Spec.LoadBalancer.Image = "linus" },
			refusal{"spec.loadBalancer.image", "add it, or leave image out"}),
		Entry("an even number of replicas", testenv.WithControlPlane(2),
			refusal{"spec.controlPlane.replicas", "replicas must be odd (1, 3, 5 or 7)"}),
		Entry("no replicas", testenv.WithControlPlane(0),
			refusal{"spec.controlPlane.replicas", "should be greater than or equal to 1"}),
		Entry("too many replicas", testenv.WithControlPlane(9),
			refusal{"spec.controlPlane.replicas", "should be less than or equal to 7"}),
		Entry("a LogicalNetwork that is not there", testenv.WithNetwork("lam"),
			refusal{"spec.logicalNetwork", "no LogicalNetwork has this name: make it, or use one of"}),
		Entry("pods and services that overlap", func(c *cluster) { c.Spec.ClusterNetwork.ServiceCIDRs = []string{"10.244.8.0/24"} },
			refusal{"spec.clusterNetwork.serviceCIDRs[0]", "overlaps podCIDRs (10.244.0.0/16): choose a network of its own"}),
		Entry("pods in the nodes' network", func(c *cluster) { c.Spec.ClusterNetwork.PodCIDRs = []string{"10.16.0.0/12"} },
			refusal{"spec.clusterNetwork.podCIDRs[0]", "overlaps subnet 0 of LogicalNetwork lan (10.20.0.0/24): choose a network of its own"}),
		Entry("services in the nodes' network", func(c *cluster) { c.Spec.ClusterNetwork.ServiceCIDRs = []string{"10.20.0.128/25"} },
			refusal{"spec.clusterNetwork.serviceCIDRs[0]", "overlaps subnet 0 of LogicalNetwork lan"}),
		Entry("pods in what is no network", func(c *cluster) { c.Spec.ClusterNetwork.PodCIDRs = []string{"10.244.0.0"} },
			refusal{"spec.clusterNetwork.podCIDRs[0]", "must be an IPv4 network, such as 10.244.0.0/16"}),
		Entry("no memory", func(c *cluster) { c.Spec.ControlPlane.Size = testenv.NewSize(2, "0", "40Gi") },
			refusal{"spec.controlPlane.size.memory", "must be more than 0, such as 8Gi"}),
		Entry("less than no memory", func(c *cluster) { c.Spec.ControlPlane.Size = testenv.NewSize(2, "-4Gi", "40Gi") },
			refusal{"spec.controlPlane.size.memory", "must be more than 0"}),
		Entry("memory without its unit", func(c *cluster) { c.Spec.ControlPlane.Size = testenv.NewSize(2, "4", "40Gi") },
			refusal{"spec.controlPlane.size.memory", "must be at least 512Mi: give it with its unit, such as 8Gi"}),
		Entry("fewer processors than kubeadm wants", func(c *cluster) { c.Spec.ControlPlane.Size = testenv.NewSize(1, "4Gi", "40Gi") },
			refusal{"spec.controlPlane.size.cpus", "kubeadm refuses a control plane with less than 2"}),
		Entry("less memory than kubeadm wants", func(c *cluster) { c.Spec.ControlPlane.Size = testenv.NewSize(2, "1Gi", "40Gi") },
			refusal{"spec.controlPlane.size.memory", "kubeadm refuses a control plane with less than 1700M"}),
		Entry("pods' network too small for a node", func(c *cluster) { c.Spec.ClusterNetwork.PodCIDRs = []string{"10.244.0.0/25"} },
			refusal{"spec.clusterNetwork.podCIDRs[0]", "use one from /8 to /24"}),
		Entry("services' network too small for the DNS", func(c *cluster) { c.Spec.ClusterNetwork.ServiceCIDRs = []string{"10.96.0.0/29"} },
			refusal{"spec.clusterNetwork.serviceCIDRs[0]", "use one from /12 to /28"}),
		Entry("services' network too large", func(c *cluster) { c.Spec.ClusterNetwork.ServiceCIDRs = []string{"11.0.0.0/8"} },
			refusal{"spec.clusterNetwork.serviceCIDRs[0]", "use one from /12 to /28"}),
		Entry("no boot disk", func(c *cluster) { c.Spec.ControlPlane.Size = testenv.NewSize(2, "4Gi", "0") },
			refusal{"spec.controlPlane.size.bootDisk", "must be more than 0"}),
		Entry("an empty data disk", func(c *cluster) {
			c.Spec.ControlPlane.Size = testenv.NewSize(2, "4Gi", "40Gi")
			c.Spec.ControlPlane.Size.DataDisks = []capstanv1.DataDisk{{Name: "etcd", Size: resource.MustParse("0")}}
		}, refusal{"spec.controlPlane.size.dataDisks[0].size", "must be more than 0"}),
		Entry("more processors than any host has", func(c *cluster) { c.Spec.ControlPlane.Size = testenv.NewSize(17, "4Gi", "40Gi") },
			refusal{"spec.controlPlane.size.cpus", "no host has as many: the most is 16 (hv1)"}),
		Entry("more memory than any host can give", func(c *cluster) { c.Spec.ControlPlane.Size = testenv.NewSize(2, "63Gi", "40Gi") },
			refusal{"spec.controlPlane.size.memory", "no host can hold it: the most any has is 62Gi (hv1)"}),
		Entry("a disk that no volume holds", func(c *cluster) { c.Spec.LoadBalancer.Size = testenv.NewSize(2, "4Gi", "2Ti") },
			refusal{"spec.loadBalancer.size.bootDisk", "no volume can hold it: the most any has is 1Ti (Volume1)"}),
		Entry("a boot disk that its image does not fit", func(c *cluster) { c.Spec.ControlPlane.Size = testenv.NewSize(2, "4Gi", "10Gi") },
			refusal{"spec.controlPlane.size.bootDisk", "must be at least 20Gi, the size of VMImage linux-136"}),
		Entry("pools' defaults of more memory than any host can give", func(c *cluster) { c.Spec.NodePoolDefaults.Size = testenv.NewSize(2, "63Gi", "40Gi") },
			refusal{"spec.nodePoolDefaults.size.memory", "no host can hold it"}),
		Entry("a trust bundle that is none", func(c *cluster) { c.Spec.GuestSettings.TrustBundle = "hello" },
			refusal{"spec.guestSettings.trustBundle", "must hold PEM certificates and nothing else"}),
		Entry("a key that is none", func(c *cluster) { c.Spec.GuestSettings.SSHAuthorizedKeys = []string{"hello"} },
			refusal{"spec.guestSettings.sshAuthorizedKeys[0]", "must be one line of an authorized_keys file"}),
		Entry("an upper-case DNS name", func(c *cluster) { c.Spec.Endpoint.DNSName = "Shop.example.org" },
			refusal{"spec.endpoint.dnsName", "should match"}),
	)

	DescribeTable("is refused for its name",
		func(ctx SpecContext, name, says string) {
			Expect(tryCreate(ctx, testenv.NewWorkloadCluster("default", name))).To(MatchError(ContainSubstring(says)))
		},
		Entry("that is too long for host names", strings.Repeat("a", 41), "metadata.name must have at most 40 characters: the host names <name>-control-plane-xxxxx are made from it"),
		Entry("that begins with a digit", "7shop", "metadata.name must begin with a letter"),
		Entry("with a dot", "shop.eu", "metadata.name must begin with a letter and hold only lower-case letters, digits and '-'"),
	)

	It("is accepted with the longest name", func(ctx SpecContext) {
		Expect(tryCreate(ctx, testenv.NewWorkloadCluster("default", strings.Repeat("a", 40)))).To(Succeed())
	})

	It("is refused a size of 0 processors by the schema", func(ctx SpecContext) {
		err := applyYAML(ctx, env.Namespace(ctx, GinkgoT()), `
apiVersion: capstan.dev/v1alpha1
kind: WorkloadCluster
metadata: {name: shop}
spec: {version: v1.36.3, logicalNetwork: lan, controlPlane: {size: {cpus: 0}}}`)
		Expect(err).To(refuse(refusal{"spec.controlPlane.size.cpus", "should be greater than or equal to 1"}))
	})

	DescribeTable("that exists is refused",
		func(ctx SpecContext, change func(*cluster), want refusal) {
			c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop", testenv.WithVersion("v1.35.0"))
			env.Create(ctx, c)
			change(c)
			Expect(env.Client.Update(ctx, c)).To(refuse(want))
		},
		Entry("a minor version left out", testenv.WithVersion("v1.37.0"),
			refusal{"spec.version", "leaves out a minor version: from v1.35.0 go to v1.36.x first"}),
		Entry("an older version", testenv.WithVersion("v1.34.0"),
			refusal{"spec.version", "a cluster cannot go back from v1.35.0: keep it"}),
		Entry("another network", testenv.WithNetwork("lan2"),
			refusal{"spec.logicalNetwork", "logicalNetwork cannot be changed: make a new WorkloadCluster"}),
		Entry("another endpoint", func(c *cluster) { c.Spec.Endpoint.Port = 8443 },
			refusal{"spec.endpoint", "endpoint cannot be changed"}),
		Entry("other pods", func(c *cluster) { c.Spec.ClusterNetwork.PodCIDRs = []string{"10.240.0.0/16"} },
			refusal{"spec.clusterNetwork", "clusterNetwork cannot be changed once the cluster exists"}),
		Entry("an even number of replicas", testenv.WithControlPlane(4),
			refusal{"spec.controlPlane.replicas", "replicas must be odd"}),
	)

	It("may go to the next minor version", func(ctx SpecContext) {
		c := testenv.NewWorkloadCluster(env.Namespace(ctx, GinkgoT()), "shop", testenv.WithVersion("v1.35.0"))
		env.Create(ctx, c)
		testenv.Update(ctx, env, c, testenv.WithVersion("v1.36.3"))
	})

	// The pool's image could not be named before: it would not fit the old version.
	It("may be raised though a pool names the image of its present version, which can then be changed", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		c := testenv.NewWorkloadCluster(namespace, "shop", testenv.WithVersion("v1.35.0"))
		pool := testenv.NewNodePool(namespace, "shop-linux", "shop", testenv.WithImage("linux-135"))
		env.Create(ctx, c, pool)
		testenv.Update(ctx, env, c, testenv.WithVersion("v1.36.3"))
		testenv.Update(ctx, env, pool, testenv.WithImage("linux-136"))
	})

	It("is not held up by what was wrong before, so that it can be scaled and repaired", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		host := testenv.NewHyperVHost("large-" + namespace)
		inventory := host.Status
		inventory.Processors = 64
		env.Create(ctx, host)
		testenv.UpdateStatus(ctx, env, host, func(h *capstanv1.HyperVHost) { h.Status = inventory })
		c := testenv.NewWorkloadCluster(namespace, "shop", func(c *cluster) { c.Spec.ControlPlane.Size = testenv.NewSize(48, "4Gi", "40Gi") })
		env.Create(ctx, c)
		Expect(env.Client.Delete(ctx, host)).To(Succeed())

		testenv.Update(ctx, env, c, testenv.WithControlPlane(3))
		c.Spec.ControlPlane.Size.CPUs = 49
		Expect(env.Client.Update(ctx, c)).To(refuse(refusal{"spec.controlPlane.size.cpus", "no host has as many"}))
	})

	It("can be labelled and lose its finalizer whatever is wrong with it by now", func(ctx SpecContext) {
		namespace := env.Namespace(ctx, GinkgoT())
		image := testenv.NewVMImage("only-"+namespace, "v1.35.99")
		c := testenv.NewWorkloadCluster(namespace, "shop", testenv.WithVersion("v1.35.99"), func(c *cluster) { c.Finalizers = []string{"example.org/held"} })
		env.Create(ctx, image, c)
		Expect(env.Client.Delete(ctx, image)).To(Succeed())
		testenv.Update(ctx, env, c, func(c *cluster) { c.Labels = map[string]string{"a": "b"} })
		Expect(env.Client.Delete(ctx, c)).To(Succeed())
		testenv.Update(ctx, env, c, func(c *cluster) { c.Finalizers = nil })
		env.ExpectGone(ctx, c)
	})

	It("gets the defaults that explain tells", func(ctx SpecContext) {
		c := testenv.NewWorkloadCluster("default", "shop", func(c *cluster) { c.Spec.ControlPlane = capstanv1.ControlPlaneSpec{} })
		Expect(env.Client.Create(ctx, c, client.DryRunAll)).To(Succeed())
		Expect(c.Spec.ControlPlane.Replicas).To(Equal(ptr.To[int32](3)))
		Expect(c.Spec.ControlPlane.Size).To(Equal(testenv.NewSize(2, "4Gi", "40Gi")))
		Expect(c.Spec.NodePoolDefaults.Size).To(Equal(testenv.NewSize(2, "4Gi", "40Gi")))
		Expect(c.Spec.LoadBalancer.Size).To(Equal(testenv.NewSize(2, "2Gi", "20Gi")))
		Expect(c.Spec.Endpoint.Port).To(Equal(int32(6443)))
		Expect(c.Spec.ClusterNetwork).To(Equal(capstanv1.ClusterNetwork{
			PodCIDRs: []string{"10.244.0.0/16"}, ServiceCIDRs: []string{"10.96.0.0/16"}, ServiceDomain: "cluster.local",
		}))
	})
})
