package vmimage

import (
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func reporting(name, cluster string, images ...string) capstanv1.HyperVHost {
	h := capstanv1.HyperVHost{}
	h.Name, h.Status.FailoverCluster = name, cluster
	h.Status.Volumes = []capstanv1.HostVolume{{Name: "csv1", Images: images}, {Name: "csv2"}}
	return h
}

func TestAnImageIsListedOncePerVolume(t *testing.T) {
	g := NewWithT(t)
	image := &capstanv1.VMImage{Spec: capstanv1.VMImageSpec{SHA256: "a"}}
	setStatus(image, []capstanv1.HyperVHost{
		reporting("hv2", "fc1", "a", "b"), reporting("hv1", "fc1", "a"), reporting("hv3", "", "a"), reporting("hv4", "", "b"),
	}, nil)
	g.Expect(image.Status.Staged).To(Equal([]string{"fc1/csv1", "hv3/csv1"}))
	g.Expect(conditions.IsTrue(image, capstanv1.ReadyCondition)).To(BeTrue())
}

func TestAnImageThatIsStagedNowhereYetCanBeUsed(t *testing.T) {
	g := NewWithT(t)
	image := &capstanv1.VMImage{Spec: capstanv1.VMImageSpec{SHA256: "a"}}
	setStatus(image, []capstanv1.HyperVHost{reporting("hv1", "")}, nil)
	g.Expect(image.Status.Staged).To(BeEmpty())
	g.Expect(conditions.IsTrue(image, capstanv1.ReadyCondition)).To(BeTrue())
}
