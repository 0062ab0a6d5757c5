package machinectr_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestTheImagesKernelSettingsAreMaskedButForTheNetworks(t *testing.T) {
	g := NewWithT(t)
	images, settings := filepath.Join("..", "..", "..", "images"), filepath.Join("files", "etc", "sysctl.d")
	theirs, err := os.ReadDir(filepath.Join(images, "linux", settings))
	g.Expect(err).NotTo(HaveOccurred())
	ours, err := os.ReadDir(filepath.Join(images, "machinectr", settings))
	g.Expect(err).NotTo(HaveOccurred())
	var names []string
	for _, entry := range ours {
		names = append(names, entry.Name())
		text, err := os.ReadFile(filepath.Join(images, "machinectr", settings, entry.Name()))
		g.Expect(err).NotTo(HaveOccurred())
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				g.Expect(line).To(HavePrefix("net."), "the rest is the machine's")
			}
		}
	}
	for _, entry := range theirs {
		g.Expect(names).To(ContainElement(entry.Name()))
	}
}
