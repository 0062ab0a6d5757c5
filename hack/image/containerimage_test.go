package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// entries are the headers and the content of an archive, by name.
func entries(t *testing.T, file string) (map[string]*tar.Header, map[string][]byte) {
	t.Helper()
	g := NewWithT(t)
	f, err := os.Open(file)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = f.Close() }()
	headers, contents := map[string]*tar.Header{}, map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(headers).NotTo(HaveKey(h.Name), "is in the archive twice")
		headers[h.Name] = h
		contents[h.Name], err = io.ReadAll(r)
		g.Expect(err).NotTo(HaveOccurred())
	}
}

func etcdImage(t *testing.T) (containerImage, []program) {
	t.Helper()
	g := NewWithT(t)
	dir := t.TempDir()
	var programs []program
	for _, name := range []string{"etcd", "etcdctl"} {
		file := filepath.Join(dir, name)
		g.Expect(os.WriteFile(file, []byte("program "+name), 0o600)).To(Succeed())
		programs = append(programs, program{name: name, file: file})
	}
	return containerImage{
		Name:       "registry.k8s.io/etcd:3.6.8-0",
		Programs:   map[string]string{"etcd": "/usr/local/bin/etcd", "etcdctl": "/usr/local/bin/etcdctl"},
		Links:      map[string]string{"/usr/bin/etcd": "../local/bin/etcd"},
		Entrypoint: []string{"/usr/local/bin/etcd"},
		User:       "65535:65535",
	}, programs
}

func TestALayerHasItsProgramsForAllToRun(t *testing.T) {
	g := NewWithT(t)
	image, programs := etcdImage(t)
	file := filepath.Join(t.TempDir(), "layer.tar")
	_, err := image.programsLayer(file, programs)
	g.Expect(err).NotTo(HaveOccurred())
	headers, contents := entries(t, file)
	g.Expect(headers).To(And(HaveKey("usr/"), HaveKey("usr/local/"), HaveKey("usr/local/bin/")))
	g.Expect(headers["usr/local/bin/etcd"].Mode).To(Equal(int64(0o755)))
	g.Expect(headers["usr/local/bin/etcd"].Uid).To(BeZero())
	g.Expect(string(contents["usr/local/bin/etcdctl"])).To(Equal("program etcdctl"))
	g.Expect(headers["usr/bin/etcd"].Linkname).To(Equal("../local/bin/etcd"))
}

func TestALayerOfTheSameProgramsIsTheSame(t *testing.T) {
	g := NewWithT(t)
	image, programs := etcdImage(t)
	dir := t.TempDir()
	first, err := image.programsLayer(filepath.Join(dir, "1"), programs)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.Chtimes(programs[0].file, time.Unix(0, 0), time.Unix(0, 0))).To(Succeed())
	second, err := image.programsLayer(filepath.Join(dir, "2"), programs)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(second.digest).To(Equal(first.digest))
	g.Expect(digest(second.file)).To(Equal(second.digest))
}

func TestAnImageOfAProgramThatIsNotBuiltIsAnError(t *testing.T) {
	g := NewWithT(t)
	image, programs := etcdImage(t)
	_, err := image.programsLayer(filepath.Join(t.TempDir(), "layer.tar"), programs[:1])
	g.Expect(err).To(MatchError("nothing that is built is called etcdctl"))
}

func TestAnArchiveNamesItsImageAndItsLayersInOrder(t *testing.T) {
	g := NewWithT(t)
	image, programs := etcdImage(t)
	dir := t.TempDir()
	base, err := (containerImage{Programs: map[string]string{"etcd": "/base"}}).programsLayer(filepath.Join(dir, "base"), programs)
	g.Expect(err).NotTo(HaveOccurred())
	top, err := image.programsLayer(filepath.Join(dir, "top"), programs)
	g.Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(dir, "image.tar")
	g.Expect(image.archive(file, []layer{base, top})).To(Succeed())

	_, contents := entries(t, file)
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	g.Expect(json.Unmarshal(contents["manifest.json"], &manifest)).To(Succeed())
	g.Expect(manifest).To(HaveLen(1))
	g.Expect(manifest[0].RepoTags).To(Equal([]string{"registry.k8s.io/etcd:3.6.8-0"}))
	var config struct {
		Architecture string
		Config       struct {
			User       string
			Entrypoint []string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	g.Expect(json.Unmarshal(contents[manifest[0].Config], &config)).To(Succeed())
	g.Expect(config.Config.User).To(Equal("65535:65535"))
	g.Expect(config.Config.Entrypoint).To(Equal([]string{"/usr/local/bin/etcd"}))
	g.Expect(config.RootFS.DiffIDs).To(Equal([]string{"sha256:" + base.digest, "sha256:" + top.digest}))
	for n, name := range manifest[0].Layers {
		sum := sha256.Sum256(contents[name])
		g.Expect("sha256:" + hex.EncodeToString(sum[:])).To(Equal(config.RootFS.DiffIDs[n]))
	}
}
