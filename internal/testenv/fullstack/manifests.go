package fullstack

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// manifestsNet is how addresses in manifests begin. It is that of the samples.
const manifestsNet = "127.64."

// ownManifests copies manifests, with a network that nobody else on this machine
// uses.
func ownManifests(t *testing.T, from string) string {
	t.Helper()
	g := NewWithT(t)
	network := ownNetwork(t)
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

// ownNetwork returns the beginning of the addresses of a /16 of loopback. A
// listener keeps others that run such a test from taking the same.
func ownNetwork(t *testing.T) string {
	t.Helper()
	for second := 65; second < 127; second++ {
		claim, err := net.Listen("tcp", fmt.Sprintf("127.%d.0.1:6443", second))
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = claim.Close() })
		return fmt.Sprintf("127.%d.", second)
	}
	t.Fatal("all networks of loopback are taken")
	return ""
}
