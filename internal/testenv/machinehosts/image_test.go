package machinehosts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

const top = "../../.."

func TestTheNodeImageIsThatOfTheLastMakeImage(t *testing.T) {
	g := NewWithT(t)
	folder := t.TempDir()
	_, err := FindImage(folder)
	g.Expect(err).To(MatchError(ContainSubstring("make image")))

	made := filepath.Join(folder, "squashfs-1", "node.squashfs")
	g.Expect(os.MkdirAll(filepath.Dir(made), 0o700)).To(Succeed())
	g.Expect(os.WriteFile(made, nil, 0o600)).To(Succeed())
	g.Expect(os.WriteFile(made+".sha256", []byte("0123  node.squashfs\n"), 0o600)).To(Succeed())
	g.Expect(os.Symlink("squashfs-1/node.squashfs", filepath.Join(folder, "node.squashfs"))).To(Succeed())
	made, err = filepath.EvalSymlinks(made)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(FindImage(folder)).To(Equal(Image{Path: made, SHA256: "0123"}))
}

func TestTheSamplesNameTheImageOnceTheyAreWritten(t *testing.T) {
	g := NewWithT(t)
	to := filepath.Join(t.TempDir(), "manifests")
	image := Image{Path: "/images/node.squashfs", SHA256: strings.Repeat("ab", 32)}
	g.Expect(image.WriteManifests(filepath.Join(top, "images", "machinectr", "samples"), to)).To(Succeed())

	text, err := os.ReadFile(filepath.Join(to, "image.yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	object := &capstanv1.VMImage{}
	g.Expect(yaml.UnmarshalStrict(text, object)).To(Succeed())
	g.Expect(object.Spec.Source).To(Equal(image.Path))
	g.Expect(object.Spec.SHA256).To(Equal(image.SHA256))
	g.Expect(filepath.Join(to, "shop.yaml")).To(BeARegularFile())
}

func TestManifestsThatAreNotThereAreAnError(t *testing.T) {
	NewWithT(t).Expect(Image{}.WriteManifests(t.TempDir(), t.TempDir())).To(MatchError(ContainSubstring("no manifests")))
}

func TestTheSamplesAreForTheHostsThereAre(t *testing.T) {
	g := NewWithT(t)
	text, err := os.ReadFile(filepath.Join(top, "images", "machinectr", "samples", "network.yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	network := &capstanv1.LogicalNetwork{}
	g.Expect(yaml.UnmarshalStrict(text, network)).To(Succeed())
	g.Expect(network.Spec.Switch).To(Equal(switchName))
	g.Expect(network.Spec.Subnets[0].Gateway).To(Equal(strings.Split(address, "/")[0]))
}
