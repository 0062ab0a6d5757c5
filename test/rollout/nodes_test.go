package rollout_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// connect makes the management API server the cluster's own, so that the nodes
// that a spec makes there are the cluster's.
func connect(ctx context.Context, namespace string) {
	GinkgoHelper()
	config := clientcmdapi.NewConfig()
	config.Clusters["shop"] = &clientcmdapi.Cluster{Server: env.Config.Host, CertificateAuthorityData: env.Config.CAData}
	config.AuthInfos["shop"] = &clientcmdapi.AuthInfo{ClientCertificateData: env.Config.CertData, ClientKeyData: env.Config.KeyData}
	config.Contexts["shop"] = &clientcmdapi.Context{Cluster: "shop", AuthInfo: "shop"}
	config.CurrentContext = "shop"
	value, err := clientcmd.Write(*config)
	Expect(err).NotTo(HaveOccurred())
	env.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop-kubeconfig", Labels: map[string]string{clusterv1.ClusterNameLabel: "shop"}},
		Type:       clusterv1.ClusterSecretType, Data: map[string][]byte{"value": value},
	})
	infra := &infrav1.HyperVCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"}}
	testenv.Update(ctx, env, infra, func(c *infrav1.HyperVCluster) {
		c.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: "127.0.0.1", Port: 6443}
	})
	testenv.UpdateStatus(ctx, env, infra, func(c *infrav1.HyperVCluster) { c.Status.Initialization.Provisioned = ptr.To(true) })
}

// join lets a machine join as a node that bears what its kubelet was told.
func join(ctx context.Context, machine *clusterv1.Machine, labels map[string]string) *corev1.Node {
	GinkgoHelper()
	providerID := capstanv1.ProviderIDScheme + string(machine.UID)
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: machine.Name, Labels: labels, Annotations: map[string]string{"example.org/of-others": "kept"}},
		Spec:       corev1.NodeSpec{ProviderID: providerID},
	}
	env.Create(ctx, node)
	infra := &infrav1.HyperVMachine{ObjectMeta: metav1.ObjectMeta{Namespace: machine.Namespace, Name: machine.Spec.InfrastructureRef.Name}}
	testenv.Update(ctx, env, infra, func(m *infrav1.HyperVMachine) { m.Spec.ProviderID = providerID })
	testenv.UpdateStatus(ctx, env, infra, func(m *infrav1.HyperVMachine) { m.Status.Initialization.Provisioned = ptr.To(true) })
	return node
}

var _ = Describe("A node of a NodePool", func() {
	It("has the pool's labels and annotations, follows their changes, and keeps what others gave it", func(ctx SpecContext) {
		pool := begin(ctx, func(p *capstanv1.NodePool) { p.Spec.Labels = map[string]string{"tier": "web"} })
		connect(ctx, pool.Namespace)
		node := join(ctx, &machinesOf(ctx, Default, pool)[0], map[string]string{"tier": "web", "of-others": "kept"})
		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) {
			p.Spec.Labels = map[string]string{"tier": "data", "node-role.kubernetes.io/data": ""}
			p.Spec.Annotations = map[string]string{"example.org/owner": "team-data"}
		})
		Eventually(func(g Gomega) {
			g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(node), node)).To(Succeed())
			g.Expect(node.Labels).To(And(
				HaveKeyWithValue("tier", "data"), HaveKeyWithValue("node-role.kubernetes.io/data", ""), HaveKeyWithValue("of-others", "kept"),
				HaveKeyWithValue(capstanv1.NodePoolLabel, "shop-linux"),
			))
			g.Expect(node.Annotations).To(And(HaveKeyWithValue("example.org/owner", "team-data"), HaveKeyWithValue("example.org/of-others", "kept")))
		}).WithContext(ctx).WithTimeout(remote).Should(Succeed())
		Expect(node.Labels).NotTo(Or(HaveKey(clusterv1.MachineSetNameLabel), HaveKey(clusterv1.MachineDeploymentUniqueLabel)))

		testenv.Update(ctx, env, pool, func(p *capstanv1.NodePool) { p.Spec.Labels, p.Spec.Annotations = nil, nil })
		Eventually(func(g Gomega) {
			g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(node), node)).To(Succeed())
			g.Expect(node.Labels).NotTo(Or(HaveKey("tier"), HaveKey("node-role.kubernetes.io/data")))
			g.Expect(node.Labels).To(HaveKeyWithValue("of-others", "kept"))
			g.Expect(node.Annotations).NotTo(HaveKey("example.org/owner"))
		}).WithContext(ctx).WithTimeout(remote).Should(Succeed())
		Expect(observed.machineSets(pool.Namespace)).To(Equal(1))
	})
})
