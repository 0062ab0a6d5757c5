package capi_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	"github.com/capstan-k8s/capstan/internal/capi"
)

func TestExactlyTheCRDsOfTheInstallManifestAreRequired(t *testing.T) {
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	files, err := filepath.Glob(manifests("crd", "*.yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).NotTo(BeEmpty())
	var names []string
	var crds []client.Object
	for _, file := range files {
		raw, err := os.ReadFile(file)
		g.Expect(err).NotTo(HaveOccurred())
		crd := &apiextensionsv1.CustomResourceDefinition{}
		g.Expect(yaml.Unmarshal(raw, crd)).To(Succeed())
		names, crds = append(names, crd.Name), append(crds, crd)
	}

	var missing *capi.MissingError
	err = capi.RequireCRDs(t.Context(), fake.NewClientBuilder().WithScheme(scheme).Build())
	g.Expect(err).To(BeAssignableToTypeOf(missing))
	g.Expect(err).To(HaveField("CRDs", ConsistOf(names)))
	g.Expect(err).To(MatchError(ContainSubstring("apply Capstan's install manifest first")))

	g.Expect(capi.RequireCRDs(t.Context(), fake.NewClientBuilder().WithScheme(scheme).WithObjects(crds...).Build())).To(Succeed())
}
