package admission

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// A pool of another OS than Linux cannot pass admission yet, so none can be made
// in the suite's API server.
func TestAVersionNeedsAnImageForTheOSOfEveryPool(t *testing.T) {
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(capstanv1.AddToScheme(scheme)).To(Succeed())
	g.Expect(infrav1.AddToScheme(scheme)).To(Succeed())
	windows := func(i *capstanv1.VMImage) { i.Spec.OS = capstanv1.OSWindows }
	size := testenv.NewSize(2, "4Gi", "40Gi")
	sized := func(c *capstanv1.WorkloadCluster) {
		c.Spec.ControlPlane.Size, c.Spec.LoadBalancer.Size, c.Spec.NodePoolDefaults.Size = size, size, size
	}
	old := testenv.NewWorkloadCluster("team", "shop", testenv.WithVersion("v1.35.0"), sized)
	raised := testenv.NewWorkloadCluster("team", "shop", sized)
	raised.Generation = 2
	live := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		testenv.NewLogicalNetwork("lan"), old,
		testenv.NewVMImage("linux-135", "v1.35.0"), testenv.NewVMImage("linux-136", "v1.36.3"), testenv.NewVMImage("windows-135", "v1.35.0", windows),
		testenv.NewNodePool("team", "shop-win", "shop", func(p *capstanv1.NodePool) { p.Spec.OS = capstanv1.OSWindows }),
		testenv.NewNodePool("team", "other-win", "other", func(p *capstanv1.NodePool) { p.Spec.OS = capstanv1.OSWindows }),
	).Build()
	v := &workloadClusterValidator{live}
	_, err := v.ValidateUpdate(t.Context(), old, raised)
	g.Expect(err).To(MatchError(And(
		ContainSubstring(`spec.version: Invalid value: "v1.36.3": NodePool shop-win needs it: no VMImage has os Windows and kubernetesVersion v1.36.3: add one`),
		Not(ContainSubstring("other-win")),
	)))
	g.Expect(live.Create(t.Context(), testenv.NewVMImage("windows-136", "v1.36.3", windows))).To(Succeed())
	_, err = v.ValidateUpdate(t.Context(), old, raised)
	g.Expect(err).NotTo(HaveOccurred())
}
