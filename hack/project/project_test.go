package project

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"
)

const (
	root   = "../.."
	module = "github.com/capstan-k8s/capstan"
)

// resource is what PROJECT says of a kind and what its CRD says, in one form.
type resource struct {
	Group      string
	Version    string
	Kind       string
	Namespaced bool
}

type projectFile struct {
	Domain     string `json:"domain"`
	Repository string `json:"repo"`
	MultiGroup bool   `json:"multigroup"`
	Resources  []struct {
		API struct {
			Namespaced bool `json:"namespaced"`
		} `json:"api"`
		Domain  string `json:"domain"`
		Group   string `json:"group"`
		Version string `json:"version"`
		Kind    string `json:"kind"`
		Path    string `json:"path"`
	} `json:"resources"`
}

type crdFile struct {
	Spec struct {
		Group string `json:"group"`
		Scope string `json:"scope"`
		Names struct {
			Kind string `json:"kind"`
		} `json:"names"`
		Versions []struct {
			Name string `json:"name"`
		} `json:"versions"`
	} `json:"spec"`
}

func TestProjectListsTheKindsThatHaveCRDs(t *testing.T) {
	g := NewWithT(t)

	var want []resource
	for _, crd := range readCRDs(g) {
		for _, version := range crd.Spec.Versions {
			want = append(want, resource{
				Group:      crd.Spec.Group,
				Version:    version.Name,
				Kind:       crd.Spec.Names.Kind,
				Namespaced: crd.Spec.Scope == "Namespaced",
			})
		}
	}
	g.Expect(want).NotTo(BeEmpty())

	var got []resource
	for _, r := range readProject(g).Resources {
		// kubebuilder joins group and domain; a kind of the domain's own group has no group.
		group := strings.TrimPrefix(r.Group+"."+r.Domain, ".")
		got = append(got, resource{Group: group, Version: r.Version, Kind: r.Kind, Namespaced: r.API.Namespaced})
	}
	g.Expect(got).To(ConsistOf(want))
}

func TestProjectPathsLeadToTheTypes(t *testing.T) {
	g := NewWithT(t)
	project := readProject(g)
	g.Expect(project.Repository).To(Equal(module))
	g.Expect(project.MultiGroup).To(BeTrue())

	for _, r := range project.Resources {
		folder, found := strings.CutPrefix(r.Path, module+"/")
		g.Expect(found).To(BeTrue(), "%s: path %s is outside the module", r.Kind, r.Path)
		g.Expect(declares(g, filepath.Join(root, folder), r.Kind)).To(BeTrue(), "%s is not declared in %s", r.Kind, folder)
	}
}

func readProject(g Gomega) projectFile {
	raw, err := os.ReadFile(filepath.Join(root, "PROJECT"))
	g.Expect(err).NotTo(HaveOccurred())
	var project projectFile
	g.Expect(yaml.Unmarshal(raw, &project)).To(Succeed())
	return project
}

func readCRDs(g Gomega) []crdFile {
	paths, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	crds := make([]crdFile, len(paths))
	for i, path := range paths {
		raw, err := os.ReadFile(path)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(yaml.Unmarshal(raw, &crds[i])).To(Succeed(), "%s", path)
	}
	return crds
}

func declares(g Gomega, folder, kind string) bool {
	paths, err := filepath.Glob(filepath.Join(folder, "*_types.go"))
	g.Expect(err).NotTo(HaveOccurred())
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		g.Expect(err).NotTo(HaveOccurred())
		if strings.Contains(string(raw), "\ntype "+kind+" struct {") {
			return true
		}
	}
	return false
}
