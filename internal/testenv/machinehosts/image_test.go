package machinehosts

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestTheNodeImageIsThatOfTheLastMakeImage(t *testing.T) {
	g := NewWithT(t)
	folder, err := filepath.EvalSymlinks(t.TempDir())
	g.Expect(err).NotTo(HaveOccurred())
	_, err = UseImage(folder)
	g.Expect(err).To(MatchError(ContainSubstring("make image")))

	g.Expect(os.WriteFile(filepath.Join(folder, ".lock"), nil, 0o600)).To(Succeed())
	_, err = UseImage(folder)
	g.Expect(err).To(MatchError(ContainSubstring("make image")))

	made := filepath.Join(folder, "squashfs-1", "node.squashfs")
	g.Expect(os.MkdirAll(filepath.Dir(made), 0o700)).To(Succeed())
	g.Expect(os.WriteFile(made, nil, 0o600)).To(Succeed())
	g.Expect(os.WriteFile(made+".sha256", []byte("0123  node.squashfs\n"), 0o600)).To(Succeed())
	g.Expect(os.Symlink("squashfs-1/node.squashfs", filepath.Join(folder, "node.squashfs"))).To(Succeed())
	for range 2 {
		image, err := UseImage(folder)
		g.Expect(err).NotTo(HaveOccurred(), "several may use it")
		g.Expect(image.Path).To(Equal(made))
		g.Expect(image.SHA256).To(Equal("0123"))
	}
}
