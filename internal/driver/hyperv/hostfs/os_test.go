package hostfs_test

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
)

func TestFilesAreWholeOrNotThere(t *testing.T) {
	g := NewWithT(t)
	var files hostfs.OS
	folder := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(folder, "record")

	_, err := files.Read(path)
	g.Expect(err).To(MatchError(fs.ErrNotExist))
	g.Expect(files.Write(path, []byte("1"))).NotTo(Succeed(), "there is no folder")
	g.Expect(files.MakeFolder(folder)).To(Succeed())
	g.Expect(files.MakeFolder(folder)).To(Succeed())
	g.Expect(files.Write(path, []byte("1"))).To(Succeed())
	g.Expect(files.Write(path, []byte("22"))).To(Succeed())
	g.Expect(files.Read(path)).To(Equal([]byte("22")))
	g.Expect(files.List(folder)).To(Equal([]hostfs.Entry{{Name: "record", Bytes: 2}}))

	g.Expect(files.Remove(folder)).NotTo(Succeed(), "it is not empty")
	g.Expect(files.Remove(path)).To(Succeed())
	g.Expect(files.Remove(path)).To(MatchError(fs.ErrNotExist))
	g.Expect(files.Remove(folder)).To(Succeed())
}

func TestLargeFilesGrowFromTheirEnd(t *testing.T) {
	g := NewWithT(t)
	var files hostfs.OS
	path := filepath.Join(t.TempDir(), "copy")
	g.Expect(files.Append(path, 3, []byte("x"))).To(MatchError(fs.ErrNotExist))
	g.Expect(files.Append(path, 0, []byte("abc"))).To(Succeed())
	g.Expect(files.Append(path, 2, []byte("x"))).NotTo(Succeed(), "it is longer than that")
	g.Expect(files.Append(path, 4, []byte("x"))).NotTo(Succeed(), "it is shorter than that")
	g.Expect(files.Append(path, 3, []byte("de"))).To(Succeed())
	content, err := files.Open(path)
	g.Expect(err).NotTo(HaveOccurred())
	text, err := io.ReadAll(content)
	g.Expect(errors.Join(err, content.Close())).To(Succeed())
	g.Expect(string(text)).To(Equal("abcde"))
}

func TestNothingIsReplacedByARename(t *testing.T) {
	g := NewWithT(t)
	var files hostfs.OS
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	g.Expect(files.Write(from, []byte("ours"))).To(Succeed())
	g.Expect(files.Write(to, []byte("theirs"))).To(Succeed())
	g.Expect(files.Rename(from, to)).To(MatchError(fs.ErrExist))
	g.Expect(files.Read(to)).To(Equal([]byte("theirs")))
	g.Expect(files.Remove(to)).To(Succeed())
	g.Expect(files.Protect(from)).To(Succeed())
	g.Expect(files.Rename(from, to)).To(Succeed())
	entry, err := files.Stat(to)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(entry).To(Equal(hostfs.Entry{Name: "to", Bytes: 4, ReadOnly: true}))
	g.Expect(files.Remove(to)).To(Succeed())
}
