package demoenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/machinehosts"
)

const top = "../../.."

func readSample(g Gomega, folder, name string, into any) {
	text, err := os.ReadFile(filepath.Join(folder, name))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(yaml.UnmarshalStrict(text, into)).To(Succeed())
}

func TestTheSamplesNameTheImageOnceTheyAreWritten(t *testing.T) {
	g := NewWithT(t)
	to := filepath.Join(t.TempDir(), "manifests")
	image := machinehosts.Image{Path: "/images/node.squashfs", SHA256: strings.Repeat("ab", 32)}
	g.Expect(writeManifests(image, filepath.Join(top, samplesFolder), to)).To(Succeed())
	object := &capstanv1.VMImage{}
	readSample(g, to, "image.yaml", object)
	g.Expect(object.Spec.Source).To(Equal(image.Path))
	g.Expect(object.Spec.SHA256).To(Equal(image.SHA256))
	g.Expect(filepath.Join(to, "shop.yaml")).To(BeARegularFile())
}

func TestSamplesThatAreNotThereAreAnError(t *testing.T) {
	NewWithT(t).Expect(writeManifests(machinehosts.Image{}, t.TempDir(), t.TempDir())).To(MatchError(ContainSubstring("no manifests")))
}

func TestTheSamplesAreForTheHostsAndTheImageThereAre(t *testing.T) {
	g := NewWithT(t)
	samples := filepath.Join(top, samplesFolder)
	network, image := &capstanv1.LogicalNetwork{}, &capstanv1.VMImage{}
	readSample(g, samples, "network.yaml", network)
	g.Expect(network.Spec.Switch).To(Equal(machinehosts.Switch))
	g.Expect(network.Spec.Subnets[0].Gateway).To(Equal(machinehosts.Address().Addr().String()))
	g.Expect(network.Spec.Subnets[0].CIDR).To(Equal(machinehosts.Address().Masked().String()))

	readSample(g, samples, "image.yaml", image)
	var described struct {
		Kubernetes struct{ Version string }
		Images     []struct{ Name string }
	}
	text, err := os.ReadFile(filepath.Join(top, "images", "linux", "image.yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(yaml.Unmarshal(text, &described)).To(Succeed())
	g.Expect(image.Spec.KubernetesVersion).To(Equal(described.Kubernetes.Version))
	pods, err := os.ReadFile(filepath.Join(top, PodsSample))
	g.Expect(err).NotTo(HaveOccurred())
	_, rest, found := strings.Cut(string(pods), "image: ")
	g.Expect(found).To(BeTrue())
	used, _, _ := strings.Cut(rest, "\n")
	g.Expect(string(text)).To(ContainSubstring(used), "nodes have no other images than those of the node image")
}

func TestWithoutAnImageThereAreNoRealGuests(t *testing.T) {
	g := NewWithT(t)
	options := Options{Dir: t.TempDir(), Source: t.TempDir(), RealGuests: true}
	_, err := New(options)
	g.Expect(err).To(MatchError(ContainSubstring("make image")))
	options.RealGuests = false
	e, err := New(options)
	g.Expect(err).NotTo(HaveOccurred(), "the folder is not in use")
	g.Expect(e.Stop()).To(Succeed())
}
