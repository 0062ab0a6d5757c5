package workloadcluster

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestWhatIsToldOfDoesNotDependOnTheOrderOfACache(t *testing.T) {
	g := NewWithT(t)
	wlc := testenv.NewWorkloadCluster("team", "shop")
	var objects []client.Object
	for _, name := range []string{"b", "a", "c"} {
		of := metav1.ObjectMeta{Namespace: "team", Name: name, Labels: map[string]string{clusterv1.ClusterNameLabel: "shop"}}
		objects = append(objects, &infrav1.HyperVMachine{ObjectMeta: of}, &clusterv1.Machine{ObjectMeta: of},
			&capstanv1.NodePool{ObjectMeta: of, Spec: capstanv1.NodePoolSpec{ClusterName: "shop"}})
	}
	s := &scope{wlc: wlc, controlPlane: controlPlaneOf("v1.36.4", 2)}
	g.Expect((&Reconciler{Client: testenv.NewUnsortedClient(t, objects...)}).observe(t.Context(), s)).To(Succeed())
	g.Expect(s.infraMachines).To(HaveExactElements(HaveField("Name", "a"), HaveField("Name", "b"), HaveField("Name", "c")))
	g.Expect(s.machines).To(HaveExactElements(HaveField("Name", "a"), HaveField("Name", "b"), HaveField("Name", "c")))
	g.Expect(s.pools).To(HaveExactElements(HaveField("Name", "a"), HaveField("Name", "b"), HaveField("Name", "c")))
}
