package main

import (
	"archive/tar"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
)

func TestFilesAndLinksAreLaidOverTheTreeAsTheyAre(t *testing.T) {
	g := NewWithT(t)
	dir, archive := t.TempDir(), filepath.Join(t.TempDir(), "archive")
	g.Expect(os.MkdirAll(filepath.Join(dir, "etc", "systemd", "empty"), 0o700)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(dir, "etc", "settings"), []byte("settings"), 0o600)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(dir, "etc", "program"), []byte("program"), 0o700)).To(Succeed())
	links := map[string]string{
		"etc/settings.d":       "systemd",
		"etc/systemd/nothing":  "../not/there",
		"etc/systemd/absolute": "/etc/settings",
	}
	for name, target := range links {
		g.Expect(os.Symlink(target, filepath.Join(dir, name))).To(Succeed())
	}

	g.Expect(archiveFiles(archive, dir)).To(Succeed())
	headers, contents := entries(t, archive)
	g.Expect(headers).To(HaveLen(2+len(links)), "folders come with what is in them")
	for name, want := range map[string]struct {
		mode    int64
		content string
	}{"etc/settings": {0o644, "settings"}, "etc/program": {0o755, "program"}} {
		g.Expect(headers).To(HaveKey(name))
		g.Expect(headers[name].Mode).To(Equal(want.mode))
		g.Expect(headers[name].Uid).To(BeZero())
		g.Expect(string(contents[name])).To(Equal(want.content))
	}
	for name, target := range links {
		g.Expect(headers).To(HaveKey(name))
		g.Expect(headers[name].Typeflag).To(Equal(byte(tar.TypeSymlink)))
		g.Expect(headers[name].Linkname).To(Equal(target))
	}
}

func TestWhatIsNeitherFileNorLinkIsRefusedByItsPath(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	pipe := filepath.Join(dir, "etc", "pipe")
	g.Expect(os.Mkdir(filepath.Dir(pipe), 0o700)).To(Succeed())
	g.Expect(syscall.Mkfifo(pipe, 0o600)).To(Succeed())
	want := MatchError(ContainSubstring(pipe + " is neither a file nor a folder nor a symbolic link"))
	g.Expect(archiveFiles(filepath.Join(t.TempDir(), "archive"), dir)).To(want)
	_, err := digestTree(dir)
	g.Expect(err).To(want)
}
