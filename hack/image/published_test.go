package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// release serves what it is given by path.
func release(t *testing.T, files map[string]string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(content))
	}))
	t.Cleanup(server.Close)
	return server
}

func sumOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestAPublishedProgramIsTakenWithItsChecksum(t *testing.T) {
	g := NewWithT(t)
	server := release(t, map[string]string{"/kubelet": "program", "/kubelet.sha256": sumOf("program") + "\n"})
	file := filepath.Join(t.TempDir(), "kubelet")
	g.Expect(fetch(t.Context(), server.Client(), server.URL+"/kubelet", file)).To(Succeed())
	g.Expect(os.ReadFile(file)).To(Equal([]byte("program")))
	info, err := os.Stat(file)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Mode().Perm() & 0o100).NotTo(BeZero())
}

func TestWhatIsNotWhatWasPublishedIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"another program":            {map[string]string{"/kubelet": "something else", "/kubelet.sha256": sumOf("program")}, "is published"},
		"no checksum":                {map[string]string{"/kubelet": "program"}, "404"},
		"a page instead of checksum": {map[string]string{"/kubelet": "program", "/kubelet.sha256": "<html>"}, "holds no SHA-256"},
		"no program":                 {map[string]string{"/kubelet.sha256": sumOf("program")}, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := release(t, c.files)
			err := fetch(t.Context(), server.Client(), server.URL+"/kubelet", filepath.Join(t.TempDir(), "kubelet"))
			g.Expect(err).To(MatchError(ContainSubstring(c.want)))
		})
	}
}
