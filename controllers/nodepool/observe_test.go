package nodepool

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/translate"
)

func TestWhatIsToldOfDoesNotDependOnTheOrderOfACache(t *testing.T) {
	g := NewWithT(t)
	pool := &capstanv1.NodePool{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop-linux"}, Spec: capstanv1.NodePoolSpec{ClusterName: "shop"}}
	var objects []client.Object
	for _, name := range []string{"b", "a", "c"} {
		of := metav1.ObjectMeta{Namespace: "team", Name: name, Labels: translate.MachineLabels(pool)}
		objects = append(objects, &infrav1.HyperVMachine{ObjectMeta: of}, &clusterv1.MachineSet{ObjectMeta: of})
	}
	s := &scope{pool: pool}
	g.Expect((&Reconciler{Client: testenv.NewUnsortedClient(t, objects...)}).observe(t.Context(), s)).To(Succeed())
	g.Expect(s.machines).To(HaveExactElements(HaveField("Name", "a"), HaveField("Name", "b"), HaveField("Name", "c")))
	g.Expect(s.sets).To(HaveExactElements(HaveField("Name", "a"), HaveField("Name", "b"), HaveField("Name", "c")))
}
