package workloadcluster

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// showing is an API server, or a cache of one, with the control plane of a cluster
// that is brought to v1.36.4 and has machines of these versions.
func showing(t *testing.T, wlc *capstanv1.WorkloadCluster, versions ...string) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{capstanv1.AddToScheme, clusterv1.AddToScheme, controlplanev1.AddToScheme} {
		NewWithT(t).Expect(add(scheme)).To(Succeed())
	}
	kcp := controlPlaneOf("v1.36.4", 2)
	kcp.Namespace, kcp.Name = wlc.Namespace, wlc.Name+"-control-plane"
	kcp.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(wlc, capstanv1.GroupVersion.WithKind("WorkloadCluster"))}
	objects := []client.Object{wlc.DeepCopy(), kcp}
	for i, version := range versions {
		m := machine(version, ofControlPlane)
		m.Namespace, m.Name, m.Labels[clusterv1.ClusterNameLabel] = wlc.Namespace, fmt.Sprintf("m-%d", i), wlc.Name
		objects = append(objects, &m)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

func TestAVersionThatWasEditedAsTheLastOldMachineWentDoesNotGoBack(t *testing.T) {
	g := NewWithT(t)
	wlc := testenv.NewWorkloadCluster("team", "shop", func(c *capstanv1.WorkloadCluster) { c.UID, c.Spec.Version = "shop-uid", "v1.36.3" })
	before, now := showing(t, wlc, "v1.36.4", "v1.36.4", "v1.36.3"), showing(t, wlc, "v1.36.4", "v1.36.4", "v1.36.4")
	decide := func(cached, live client.Client) versionPlan {
		s := &scope{wlc: wlc}
		g.Expect((&Reconciler{Client: cached, Live: live}).decideVersion(t.Context(), s)).To(Succeed())
		return s.version
	}
	g.Expect(decide(before, before)).To(Equal(versionPlan{effective: "v1.36.3"}), "it is taken back")
	g.Expect(decide(before, now).effective).To(Equal("v1.36.4"), "a cache that shows the machine is no reason")
	g.Expect(decide(now, now).queued).To(HavePrefix("v1.36.3 is refused: "))
}
