package translate_test

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestTheNumberOfNodesIsSaidByOneAlone(t *testing.T) {
	for what, tc := range map[string]struct {
		change func(*capstanv1.NodePool)
		want   *int32
	}{
		"the pool":              {func(p *capstanv1.NodePool) { p.Spec.Replicas = ptr.To[int32](0) }, ptr.To[int32](0)},
		"nobody, which means 1": {func(p *capstanv1.NodePool) { p.Spec.Replicas = nil }, ptr.To[int32](1)},
		"the cluster autoscaler": {func(p *capstanv1.NodePool) {
			p.Spec.Replicas, p.Spec.Autoscaling = nil, &capstanv1.Autoscaling{Min: 2, Max: 5}
		}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			NewWithT(t).Expect(pool(tc.change).Machines.Spec.Replicas).To(Equal(tc.want))
		})
	}
}

func TestAutoscalerIsToldBoundsAndWhatANodeWouldBe(t *testing.T) {
	g := NewWithT(t)
	scaled := func(p *capstanv1.NodePool) {
		p.Spec.Replicas, p.Spec.Autoscaling = nil, &capstanv1.Autoscaling{Min: 0, Max: 5}
		p.Spec.Size = &capstanv1.MachineSize{CPUs: 8, Memory: resource.MustParse("16384Mi"), BootDisk: resource.MustParse("100Gi")}
		p.Spec.Labels = map[string]string{"tier": "web", "node-role.kubernetes.io/web": ""}
		p.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}, {Key: "b", Value: "c", Effect: corev1.TaintEffectNoExecute}}
	}
	g.Expect(pool(scaled).Machines.Annotations).To(Equal(map[string]string{
		clusterv1.AutoscalerMinSizeAnnotation:                      "0",
		clusterv1.AutoscalerMaxSizeAnnotation:                      "5",
		"capacity.cluster-autoscaler.kubernetes.io/cpu":            "8",
		"capacity.cluster-autoscaler.kubernetes.io/memory":         "16Gi",
		"capacity.cluster-autoscaler.kubernetes.io/ephemeral-disk": "100Gi",
		"capacity.cluster-autoscaler.kubernetes.io/labels":         "kubernetes.io/arch=amd64,kubernetes.io/os=linux,node-role.kubernetes.io/web=,tier=web",
		"capacity.cluster-autoscaler.kubernetes.io/taints":         "gpu=:NoSchedule,b=c:NoExecute",
	}))
	g.Expect(pool().Machines.Annotations).To(BeEmpty())
}

func TestLabelsAndAnnotationsReachMachines(t *testing.T) {
	g := NewWithT(t)
	template := pool(func(p *capstanv1.NodePool) {
		p.Spec.Labels = map[string]string{"tier": "web"}
		p.Spec.Annotations = map[string]string{"example.org/owner": "a, b"}
	}).Machines.Spec.Template
	g.Expect(template.Labels).To(And(HaveKeyWithValue("tier", "web"), HaveKeyWithValue(capstanv1.NodePoolLabel, "shop-linux")))
	g.Expect(template.Annotations).To(Equal(map[string]string{"example.org/owner": "a, b"}))
}

func TestWhatReplacesNodesCanBeTakenBackAlone(t *testing.T) {
	g := NewWithT(t)
	before := pool()
	after := pool(func(p *capstanv1.NodePool) {
		p.Spec.Size = &capstanv1.MachineSize{CPUs: 8}
		p.Spec.Replicas = ptr.To[int32](7)
		p.Spec.Labels = map[string]string{"tier": "web"}
	})
	g.Expect(after.ReplacesNodes(before.Machines)).To(BeTrue())
	g.Expect(after.NodesHash()).NotTo(Equal(before.NodesHash()))

	after.KeepNodes(before.Machines)
	g.Expect(after.ReplacesNodes(before.Machines)).To(BeFalse())
	g.Expect(after.MachineTemplate).To(BeNil(), "what is not rolled to is not made")
	g.Expect(after.BootstrapConfig).NotTo(BeNil(), "it did not change but for its labels")
	g.Expect(after.Machines.Spec.Replicas).To(HaveValue(Equal(int32(7))))
	g.Expect(after.Machines.Spec.Template.Labels).To(HaveKeyWithValue("tier", "web"))
}
