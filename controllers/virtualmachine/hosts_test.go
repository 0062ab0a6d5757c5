package virtualmachine

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func fakeClient(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{capstanv1.AddToScheme, ipamv1.AddToScheme} {
		g.Expect(add(scheme)).To(Succeed())
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

func TestAVMIsNotBuriedBecauseTheStatusOfAHostIsLost(t *testing.T) {
	unheard, lost := host("hv2", "8Gi"), host("hv3", "8Gi")
	unheard.Status = capstanv1.HyperVHostStatus{}
	lost.Spec.Lost, lost.Status = true, capstanv1.HyperVHostStatus{}
	elsewhere := host("hv1", "8Gi")
	for name, test := range map[string]struct {
		cluster string
		hosts   []capstanv1.HyperVHost
		buried  bool
	}{
		"a node may not have been heard yet": {"fc1", []capstanv1.HyperVHost{elsewhere, unheard}, false},
		"all that are left are elsewhere":    {"fc1", []capstanv1.HyperVHost{elsewhere}, true},
		"the silent one is declared lost":    {"fc1", []capstanv1.HyperVHost{elsewhere, lost}, true},
		"its host was removed":               {"", []capstanv1.HyperVHost{elsewhere, unheard}, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			vm := machine("a")
			vm.Spec.ID = "4a7c4c1e-5a52-4f6b-8e0b-4a1f4c6f1a55"
			vm.Spec.Placement = &capstanv1.Placement{Host: "gone", FailoverCluster: test.cluster}
			c := fakeClient(t)
			r := &Reconciler{Client: c, Live: c}
			observed, err := r.observe(t.Context(), &scope{vm: vm, hosts: test.hosts})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(observed.unknown).To(BeTrue())
			reason := capstanv1.ReasonHostUnreachable
			if test.buried {
				reason = capstanv1.ReasonHostLost
			}
			g.Expect(observed.reason).To(Equal(reason), "what may yet be heard of is not lost: %s", observed.message)
			waiting, err := r.remove(t.Context(), &scope{vm: vm, hosts: test.hosts})
			g.Expect(err).NotTo(HaveOccurred())
			tombstones := &capstanv1.TombstoneList{}
			g.Expect(c.List(t.Context(), tombstones)).To(Succeed())
			if test.buried {
				g.Expect(waiting).To(BeNil())
				g.Expect(tombstones.Items).To(HaveLen(1))
				return
			}
			g.Expect(waiting).NotTo(BeNil())
			g.Expect(waiting.reason).To(Equal(capstanv1.ReasonHostUnreachable))
			g.Expect(waiting.unknown).To(BeTrue())
			g.Expect(waiting.requeue).To(Equal(pollWaiting))
			g.Expect(tombstones.Items).To(BeEmpty())
		})
	}
}
