package testenv

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestModuleRootIsTheNearestFolderAboveWithGoMod(t *testing.T) {
	g := NewWithT(t)
	outer := t.TempDir()
	inner := filepath.Join(outer, "inner")
	deep := filepath.Join(inner, "internal", "deep")
	g.Expect(os.MkdirAll(deep, 0o700)).To(Succeed())
	_, err := moduleRoot(deep)
	g.Expect(err).To(MatchError(ContainSubstring("no go.mod in " + deep + " or above it")))

	g.Expect(os.WriteFile(filepath.Join(outer, "go.mod"), nil, 0o600)).To(Succeed())
	g.Expect(moduleRoot(deep)).To(Equal(outer))
	g.Expect(os.WriteFile(filepath.Join(inner, "go.mod"), nil, 0o600)).To(Succeed())
	g.Expect(moduleRoot(deep)).To(Equal(inner))
	g.Expect(moduleRoot(inner)).To(Equal(inner))
}

func TestDefinitionsAreFoundWhereverTheTestsRun(t *testing.T) {
	g := NewWithT(t)
	t.Chdir("probe")
	crds, err := readCRDs()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(crds).To(ContainElement(HaveField("Name", "workloadclusters.capstan.dev")))
}
