package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func newCache(t *testing.T) *cache {
	t.Helper()
	g := NewWithT(t)
	c := &cache{dir: t.TempDir()}
	release, err := c.open(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(release)
	return c
}

// writing fills a folder with one file, and counts how often it is asked to.
func writing(times *int) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		*times++
		return os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
	}
}

func TestAStepOfTheSameInputIsDoneOnce(t *testing.T) {
	g := NewWithT(t)
	c, times := newCache(t), 0
	first, err := c.step(t.Context(), "tree", key("input"), writing(&times))
	g.Expect(err).NotTo(HaveOccurred())
	second, err := c.step(t.Context(), "tree", key("input"), writing(&times))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(second).To(Equal(first))
	g.Expect(filepath.Join(second, "file")).To(BeAnExistingFile())
	g.Expect(times).To(Equal(1))
}

func TestAStepOfOtherInputReplacesItsFormerResultAndNoOther(t *testing.T) {
	g := NewWithT(t)
	c, times := newCache(t), 0
	former, err := c.step(t.Context(), "debian", key("1"), writing(&times))
	g.Expect(err).NotTo(HaveOccurred())
	other, err := c.step(t.Context(), "debian-of-another", key("1"), writing(&times))
	g.Expect(err).NotTo(HaveOccurred())
	current, err := c.step(t.Context(), "debian", key("2"), writing(&times))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(times).To(Equal(3))
	g.Expect(former).NotTo(BeAnExistingFile())
	g.Expect(other).To(BeADirectory())
	g.Expect(current).To(BeADirectory())
}

func TestAResultThatMachinesRunOnStays(t *testing.T) {
	g := NewWithT(t)
	c, times := newCache(t), 0
	used, err := c.step(t.Context(), "tree", key("1"), writing(&times))
	g.Expect(err).NotTo(HaveOccurred())
	c.mounts = filepath.Join(t.TempDir(), "mountinfo")
	line := "36 35 98:0 / /mnt rw - overlay overlay rw,lowerdir=" + used + ",upperdir=/tmp/upper,workdir=/tmp/work\n"
	g.Expect(os.WriteFile(c.mounts, []byte(line), 0o600)).To(Succeed())
	_, err = c.step(t.Context(), "tree", key("2"), writing(&times))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(used).To(BeADirectory())

	g.Expect(os.WriteFile(c.mounts, nil, 0o600)).To(Succeed())
	_, err = c.step(t.Context(), "tree", key("3"), writing(&times))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(used).NotTo(BeAnExistingFile())
}

func TestAStepThatFailsLeavesNothingAndIsDoneAgain(t *testing.T) {
	g := NewWithT(t)
	c, times := newCache(t), 0
	broken := errors.New("disk full")
	_, err := c.step(t.Context(), "tree", key("input"), func(_ context.Context, dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o600), broken)
	})
	g.Expect(err).To(MatchError(broken))
	g.Expect(filepath.Glob(filepath.Join(c.dir, "*"))).To(ConsistOf(HaveSuffix(".lock")))
	_, err = c.step(t.Context(), "tree", key("input"), writing(&times))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(times).To(Equal(1))
}

func TestWhatAKilledRunLeftIsClearedAway(t *testing.T) {
	g := NewWithT(t)
	c := &cache{dir: t.TempDir()}
	left := filepath.Join(c.dir, partial+"tree-123")
	g.Expect(os.MkdirAll(filepath.Join(left, "usr"), 0o750)).To(Succeed())
	release, err := c.open(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	defer release()
	g.Expect(left).NotTo(BeAnExistingFile())
}

func TestASecondRunWaitsForTheFirst(t *testing.T) {
	g := NewWithT(t)
	c := newCache(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (&cache{dir: c.dir}).open(ctx)
	g.Expect(err).To(MatchError(context.Canceled))
}

func TestANameIsMovedToTheNewResult(t *testing.T) {
	g := NewWithT(t)
	c, times := newCache(t), 0
	for _, input := range []string{"1", "2"} {
		dir, err := c.step(t.Context(), "tree", key(input), writing(&times))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(c.link("tree", dir)).To(Succeed())
		g.Expect(filepath.EvalSymlinks(filepath.Join(c.dir, "tree"))).To(Equal(dir))
	}
}

func TestPartsOfAKeyDoNotRunTogether(t *testing.T) {
	g := NewWithT(t)
	g.Expect(key("ab", "c")).NotTo(Equal(key("a", "bc")))
	g.Expect(key("a")).To(HaveLen(keyLength))
}
