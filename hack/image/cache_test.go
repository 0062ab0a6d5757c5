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

// run opens the folder of a cache, as each run does, and lets go of it.
func run(t *testing.T, dir string, does func(c *cache)) {
	t.Helper()
	c := &cache{dir: dir}
	release, err := c.open(t.Context())
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	defer release()
	does(c)
}

// made is the folder of a step.
func made(t *testing.T, c *cache, step, input string) string {
	t.Helper()
	times := 0
	dir, err := c.step(t.Context(), step, key(input), writing(&times))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return dir
}

func TestARunThatIsAtItsEndLeavesWhatItAskedFor(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	var former, renamed, same string
	run(t, dir, func(c *cache) {
		former, same = made(t, c, "debian", "1"), made(t, c, "tree", "1")
		renamed = made(t, c, "libraries-"+key("packages"), "1")
		g.Expect(c.finish()).To(Succeed())
	})
	foreign := filepath.Join(dir, "mine-of-yesterday")
	g.Expect(os.Mkdir(foreign, 0o700)).To(Succeed())
	run(t, dir, func(c *cache) {
		current := made(t, c, "debian", "2")
		g.Expect(made(t, c, "tree", "1")).To(Equal(same))
		g.Expect(former).To(BeADirectory(), "the run may fail yet, and somebody may use what it would replace")
		g.Expect(c.finish()).To(Succeed())
		g.Expect(former).NotTo(BeAnExistingFile())
		g.Expect(renamed).NotTo(BeAnExistingFile(), "no step is called so any more")
		for _, left := range []string{current, same, foreign} {
			g.Expect(left).To(BeADirectory())
		}
	})
}

func TestAResultWithANameStaysUntilTheNameIsAnothers(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "node.vhdx")
	var disk string
	run(t, dir, func(c *cache) {
		disk = made(t, c, "disk", "1")
		c.name("node.vhdx", filepath.Join(disk, "file"))
		g.Expect(name).NotTo(BeAnExistingFile(), "the run is not at its end")
		g.Expect(c.finish()).To(Succeed())
	})
	run(t, dir, func(c *cache) { g.Expect(c.finish()).To(Succeed()) })
	g.Expect(filepath.EvalSymlinks(name)).To(Equal(filepath.Join(disk, "file")))
	run(t, dir, func(c *cache) {
		next := made(t, c, "disk", "2")
		c.name("node.vhdx", filepath.Join(next, "file"))
		g.Expect(filepath.EvalSymlinks(name)).To(Equal(filepath.Join(disk, "file")))
		g.Expect(c.finish()).To(Succeed())
		g.Expect(filepath.EvalSymlinks(name)).To(Equal(filepath.Join(next, "file")))
		g.Expect(disk).NotTo(BeAnExistingFile())
	})
}

func TestAResultThatMachinesRunOnStays(t *testing.T) {
	g := NewWithT(t)
	dir, kernel := t.TempDir(), t.TempDir()
	var used string
	run(t, dir, func(c *cache) { used = made(t, c, "tree", "1") })
	line := "36 35 98:0 / /mnt rw - overlay overlay rw,lowerdir=" + used + ",upperdir=/tmp/upper,workdir=/tmp/work\n"
	for process, mounts := range map[string]string{"1": "", "2": line} {
		g.Expect(os.WriteFile(filepath.Join(kernel, process), []byte(mounts), 0o600)).To(Succeed())
	}
	finish := func(c *cache) {
		c.mounts = filepath.Join(kernel, "*")
		g.Expect(c.finish()).To(Succeed())
	}
	run(t, dir, finish)
	g.Expect(used).To(BeADirectory())

	g.Expect(os.Remove(filepath.Join(kernel, "2"))).To(Succeed())
	run(t, dir, finish)
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
