package daemon_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
)

func TestWhatAPowerLossLeftIsSweptUp(t *testing.T) {
	g, dir := NewWithT(t), t.TempDir()
	path := filepath.Join(dir, "haproxy.cfg")
	g.Expect(daemon.ReplaceFile(path, "global")).To(Succeed())
	for _, name := range []string{".haproxy.cfg-123", "haproxy.cfg.next", ".other.cfg-1", "haproxy.cfg-2"} {
		g.Expect(os.WriteFile(filepath.Join(dir, name), nil, 0o600)).To(Succeed())
	}
	g.Expect(daemon.Sweep(path, filepath.Join(dir, "none", "file"))).To(Succeed())
	left, err := os.ReadDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(HaveExactElements(
		HaveField("Name()", ".other.cfg-1"), HaveField("Name()", "haproxy.cfg"), HaveField("Name()", "haproxy.cfg-2"),
	))
	g.Expect(daemon.ReadFile(path)).To(Equal("global"))
}
