package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func TestCommittedManifestsAreInStepWithTheModule(t *testing.T) {
	g := NewWithT(t)
	out := t.TempDir()
	g.Expect(run(out)).To(Succeed())

	committed := filepath.Join("..", "..", "config", "capi")
	g.Expect(readTree(t, out)).To(Equal(readTree(t, committed)), "run go run ./hack/capi-manifests")
}

func TestWritingRemovesManifestsThatUpstreamDropped(t *testing.T) {
	g := NewWithT(t)
	out := t.TempDir()
	g.Expect(write(out, map[string][]byte{"crd/old.yaml": []byte("a"), "crd/kept.yaml": []byte("b")})).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(out, "README.md"), []byte("by hand"), 0o600)).To(Succeed())

	g.Expect(write(out, map[string][]byte{"crd/kept.yaml": []byte("c")})).To(Succeed())

	g.Expect(readTree(t, out)).To(Equal(map[string]string{"crd/kept.yaml": "c"}))
	g.Expect(filepath.Join(out, "README.md")).To(BeAnExistingFile())
}

func TestContractLabelsFollowUpstreamsKustomization(t *testing.T) {
	g := NewWithT(t)
	mod, err := findModule()
	g.Expect(err).NotTo(HaveOccurred())
	crds, err := customResourceDefinitions(mod)
	g.Expect(err).NotTo(HaveOccurred())

	g.Expect(labelsOf(g, crds["controlplane.cluster.x-k8s.io_kubeadmcontrolplanes.yaml"])).To(Equal(map[string]string{
		"app.kubernetes.io/part-of": "capstan",
		"cluster.x-k8s.io/v1beta2":  "v1beta2",
	}))
	g.Expect(labelsOf(g, crds["cluster.x-k8s.io_clusters.yaml"])).To(Equal(map[string]string{
		"app.kubernetes.io/part-of": "capstan",
	}))
}

func TestEachKindIsServedInTheVersionItIsStoredIn(t *testing.T) {
	g := NewWithT(t)
	mod, err := findModule()
	g.Expect(err).NotTo(HaveOccurred())
	crds, err := customResourceDefinitions(mod)
	g.Expect(err).NotTo(HaveOccurred())
	for name, object := range crds {
		raw, err := yaml.Marshal(object)
		g.Expect(err).NotTo(HaveOccurred())
		crd := &apiextensionsv1.CustomResourceDefinition{}
		g.Expect(yaml.UnmarshalStrict(raw, crd)).To(Succeed())
		served := 0
		for _, version := range crd.Spec.Versions {
			g.Expect(version.Served).To(Equal(version.Storage), "%s, version %s", name, version.Name)
			if version.Served {
				served++
			}
		}
		g.Expect(served).To(Equal(1), name)
	}
}

func TestMergingRulesNeverWidensThem(t *testing.T) {
	read, all := []string{"get", "list"}, []string{"delete", "get", "list"}
	tests := []struct {
		name  string
		rules []rbacv1.PolicyRule
		want  []rbacv1.PolicyRule
	}{
		{
			name: "verbs on the same resource are joined",
			rules: []rbacv1.PolicyRule{
				{APIGroups: []string{"a"}, Resources: []string{"x"}, Verbs: read},
				{APIGroups: []string{"a"}, Resources: []string{"x"}, Verbs: []string{"delete"}},
			},
			want: []rbacv1.PolicyRule{{APIGroups: []string{"a"}, Resources: []string{"x"}, Verbs: all}},
		},
		{
			name: "a wildcard swallows only what grants no more",
			rules: []rbacv1.PolicyRule{
				{APIGroups: []string{"a"}, Resources: []string{"*"}, Verbs: read},
				{APIGroups: []string{"a"}, Resources: []string{"x"}, Verbs: []string{"get"}},
				{APIGroups: []string{"a"}, Resources: []string{"y"}, Verbs: all},
			},
			want: []rbacv1.PolicyRule{
				{APIGroups: []string{"a"}, Resources: []string{"*"}, Verbs: read},
				{APIGroups: []string{"a"}, Resources: []string{"y"}, Verbs: all},
			},
		},
		{
			name: "a right on named objects stays one on named objects",
			rules: []rbacv1.PolicyRule{
				{APIGroups: []string{"a"}, Resources: []string{"x"}, Verbs: read},
				{APIGroups: []string{"a"}, Resources: []string{"x"}, ResourceNames: []string{"two"}, Verbs: []string{"patch"}},
				{APIGroups: []string{"a"}, Resources: []string{"x"}, ResourceNames: []string{"one"}, Verbs: []string{"patch"}},
				{APIGroups: []string{"a"}, Resources: []string{"y"}, Verbs: []string{"patch"}},
			},
			want: []rbacv1.PolicyRule{
				{APIGroups: []string{"a"}, Resources: []string{"x"}, ResourceNames: []string{"one", "two"}, Verbs: []string{"patch"}},
				{APIGroups: []string{"a"}, Resources: []string{"x"}, Verbs: read},
				{APIGroups: []string{"a"}, Resources: []string{"y"}, Verbs: []string{"patch"}},
			},
		},
		{
			name: "groups are joined when their resources are the same",
			rules: []rbacv1.PolicyRule{
				{APIGroups: []string{"b", "a"}, Resources: []string{"x", "y"}, Verbs: read},
				{APIGroups: []string{"c"}, Resources: []string{"x"}, Verbs: read},
			},
			want: []rbacv1.PolicyRule{
				{APIGroups: []string{"a", "b"}, Resources: []string{"x", "y"}, Verbs: read},
				{APIGroups: []string{"c"}, Resources: []string{"x"}, Verbs: read},
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := NewWithT(t)
			merged, err := mergeRules(test.rules)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(merged).To(Equal(test.want))
		})
	}
}

func TestMergingRefusesRulesItDoesNotUnderstand(t *testing.T) {
	g := NewWithT(t)
	_, err := mergeRules([]rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}})
	g.Expect(err).To(MatchError(ContainSubstring("/metrics")))
}

func labelsOf(g *WithT, crd any) map[string]string {
	raw, err := yaml.Marshal(crd)
	g.Expect(err).NotTo(HaveOccurred())
	var object struct {
		Metadata metadata `json:"metadata"`
	}
	g.Expect(yaml.Unmarshal(raw, &object)).To(Succeed())
	return object.Metadata.Labels
}

// readTree returns the generated files under a folder by their path in it.
func readTree(t *testing.T, root string) map[string]string {
	t.Helper()
	g := NewWithT(t)
	files := map[string]string{}
	g.Expect(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		files[filepath.ToSlash(name)] = string(raw)
		return err
	})).To(Succeed())
	return files
}
