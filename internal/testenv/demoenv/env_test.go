package demoenv

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestAFolderInUseIsRefused(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	first, err := New(Options{Dir: dir})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = New(Options{Dir: dir})
	g.Expect(err).To(MatchError(ContainSubstring("in use")))

	g.Expect(first.Stop()).To(Succeed())
	again, err := New(Options{Dir: dir})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again.Stop()).To(Succeed())
}

func TestOnlyWhatAnEnvironmentMadeIsCleared(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	stale, foreign := filepath.Join(dir, "etcd", "member"), filepath.Join(dir, "letter.txt")
	g.Expect(os.MkdirAll(stale, 0o700)).To(Succeed())
	g.Expect(os.WriteFile(foreign, nil, 0o600)).To(Succeed())
	e, err := New(Options{Dir: dir})
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(e.Stop()).To(Succeed()) }()
	g.Expect(stale).NotTo(BeADirectory())
	g.Expect(foreign).To(BeARegularFile())
}

func TestAProcessThatEndsByItselfEndsWhatGoesOn(t *testing.T) {
	g := NewWithT(t)
	e, err := New(Options{Dir: t.TempDir()})
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(e.Stop()).To(Succeed()) }()
	ctx, cancel := e.WhileWell(t.Context())
	defer cancel()
	_, err = e.run("broken", "/bin/sh", "-c", "exit 3")
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(ctx.Done(), patience).Should(BeClosed())
	g.Expect(context.Cause(ctx)).To(MatchError(ContainSubstring("broken: exit status 3")))
}

func TestPortsAreNotGivenTwice(t *testing.T) {
	g := NewWithT(t)
	ports, err := freePorts(t.Context(), 50)
	g.Expect(err).NotTo(HaveOccurred())
	seen := map[int]bool{}
	for _, port := range ports {
		g.Expect(seen[port]).To(BeFalse())
		seen[port] = true
	}
}
