package fullstack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// manifestsNet is how addresses in manifests begin. It is that of the samples.
const manifestsNet = "127.64."

// ownManifests copies manifests, with a network that nobody else on this machine
// uses.
func ownManifests(t *testing.T, from string) string {
	t.Helper()
	g := NewWithT(t)
	network, release, err := demoenv.ClaimNetwork(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = release() })
	copied := t.TempDir()
	files, err := filepath.Glob(filepath.Join(from, "*.yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).NotTo(BeEmpty())
	for _, file := range files {
		text, err := os.ReadFile(file)
		g.Expect(err).NotTo(HaveOccurred())
		own := strings.ReplaceAll(string(text), manifestsNet, network)
		g.Expect(os.WriteFile(filepath.Join(copied, filepath.Base(file)), []byte(own), 0o600)).To(Succeed())
	}
	return copied
}
