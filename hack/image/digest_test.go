package main

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestPartsOfAKeyDoNotRunTogether(t *testing.T) {
	g := NewWithT(t)
	g.Expect(key("ab", "c")).NotTo(Equal(key("a", "bc")))
	g.Expect(key("a")).To(HaveLen(keyLength))
}

func TestADigestOfATreeSeesWhatBecomesOfIt(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	seen := map[string]bool{}
	for _, change := range []func() error{
		func() error { return os.WriteFile(file, []byte("1"), 0o600) },
		func() error { return os.WriteFile(file, []byte("2"), 0o600) },
		func() error { return os.Chmod(file, 0o700) },
		func() error { return os.Symlink("not/there", link) },
		func() error { return os.Remove(link) },
		func() error { return os.Symlink("file", link) },
	} {
		g.Expect(change()).To(Succeed())
		sum, err := digestTree(dir)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(digestTree(dir)).To(Equal(sum))
		seen[sum] = true
	}
	// Without its link the tree is what it was before.
	g.Expect(seen).To(HaveLen(5))
}
