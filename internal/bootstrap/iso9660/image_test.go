package iso9660_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	"github.com/capstan-k8s/capstan/internal/bootstrap/iso9660"
)

func TestPropertyWhatWasWrittenIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[string][]byte{}
		var files []iso9660.File
		for i := range rapid.IntRange(0, 9).Draw(t, "files") {
			f := iso9660.File{
				Name:    fmt.Sprintf("%d%s", i, rapid.StringMatching(`([a-zA-Z0-9._-]{0,50}[a-zA-Z0-9_-])?`).Draw(t, "name")),
				Content: rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "content"),
			}
			files, want[f.Name] = append(files, f), f.Content
		}
		image, err := iso9660.Image("cidata", files)
		if err != nil {
			t.Fatal(err)
		}
		disc, err := iso9660.Read(image, int64(len(image)))
		label, got := disc.Label, disc.Files
		if err != nil || label != "cidata" || len(got) != len(want) {
			t.Fatalf("label %q, %d files, want %d: %v", label, len(got), len(want), err)
		}
		for name, content := range want {
			if !bytes.Equal(got[name], content) {
				t.Fatalf("file %s differs", name)
			}
		}
		if len(image)%2048 != 0 {
			t.Fatalf("%d bytes are no whole sectors", len(image))
		}
	})
}

func TestImageIsTheSameInAnyOrderOfFiles(t *testing.T) {
	g := NewWithT(t)
	a, b := iso9660.File{Name: "a", Content: []byte("1")}, iso9660.File{Name: "b", Content: []byte("2")}
	one, err := iso9660.Image("x", []iso9660.File{a, b})
	g.Expect(err).NotTo(HaveOccurred())
	two, err := iso9660.Image("x", []iso9660.File{b, a})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(one).To(Equal(two))
}

func TestImageRefusesWhatItCannotWrite(t *testing.T) {
	for _, tc := range []struct {
		name, label string
		files       []iso9660.File
		want        string
	}{
		{"no label", "", nil, "volume label"},
		{"long label", "abcdefghijklmnopq", nil, "volume label"},
		{"label with a space", "ci data", nil, "volume label"},
		{"empty name", "x", []iso9660.File{{}}, "file name"},
		{"path", "x", []iso9660.File{{Name: "a/b"}}, "file name"},
		{"dot at the end", "x", []iso9660.File{{Name: "a."}}, "file name"},
		{"parent", "x", []iso9660.File{{Name: ".."}}, "file name"},
		{"twice", "x", []iso9660.File{{Name: "a"}, {Name: "a"}}, "not unique"},
		{"same but for case", "x", []iso9660.File{{Name: "a"}, {Name: "A"}}, "not unique"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := iso9660.Image(tc.label, tc.files)
			g.Expect(err).To(MatchError(ContainSubstring(tc.want)))
		})
	}
}

func TestImageIsTheSameAtAnyTime(t *testing.T) {
	g := NewWithT(t)
	files := []iso9660.File{{Name: "user-data", Content: []byte("1")}, {Name: "meta-data"}}
	one, err := iso9660.Image("cidata", files)
	g.Expect(err).NotTo(HaveOccurred())
	// Files made now have another time than those before.
	g.Eventually(func(g Gomega) {
		two, err := iso9660.Image("cidata", files)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(two).To(Equal(one))
	}).Should(Succeed())
	g.Expect(bytes.Contains(one, []byte("0000000000000000\x00"))).To(BeTrue(), "times are blank, not merely equal")
}

func TestImageLeavesNothingBehind(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	_, err := iso9660.Image("cidata", []iso9660.File{{Name: "user-data", Content: []byte("secret")}})
	g.Expect(err).NotTo(HaveOccurred())
	left, err := os.ReadDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(BeEmpty())
}
