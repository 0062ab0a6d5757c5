package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// damage rewrites the journal files that match a pattern, while no agent runs.
func (w *world) damage(pattern string, change func(raw []byte) []byte) {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(w.dir, "journal", pattern))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(paths).NotTo(BeEmpty())
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(os.WriteFile(path, change(raw), 0o600)).To(Succeed())
	}
}

var damages = map[string]func(raw []byte) []byte{
	"cut off":               func(raw []byte) []byte { return raw[:len(raw)/2] },
	"empty":                 func([]byte) []byte { return nil },
	"zeroes":                func(raw []byte) []byte { return make([]byte, len(raw)) },
	"something behind it":   func(raw []byte) []byte { return append(raw, '{') },
	"of a later version":    func(raw []byte) []byte { return []byte(strings.Replace(string(raw), `"version":1`, `"version":2`, 1)) },
	"not JSON of that kind": func([]byte) []byte { return []byte(`["version"]`) },
}

func TestAJournalFileThatCannotBeUsedIsSetAside(t *testing.T) {
	for name, change := range damages {
		for _, pattern := range []string{"vms/*.json", "operations/*.json", "boot.json", "tombstones.json"} {
			t.Run(pattern+" "+name, func(t *testing.T) {
				w := newWorld(t)
				_, err := w.agent.Bury(t.Context(), []hostapi.Tombstone{tombstone("vm-9")})
				w.Expect(err).NotTo(HaveOccurred())
				w.ensureSlowly(wanted("vm-1"))
				w.kill()
				w.damage(pattern, change)
				w.agent = w.open(agent.Disk{}, w.driver)

				aside, err := os.ReadDir(filepath.Join(w.dir, "journal", "corrupt"))
				w.Expect(err).NotTo(HaveOccurred())
				w.Expect(aside).To(HaveLen(1))
				w.Expect(w.log.String()).To(ContainSubstring("cannot be used and is set aside"))
			})
		}
	}
}

func TestLostTombstonesKeepVMsFromStarting(t *testing.T) {
	w := newWorld(t)
	_, err := w.agent.Bury(t.Context(), []hostapi.Tombstone{tombstone("vm-1")})
	w.Expect(err).NotTo(HaveOccurred())
	w.kill()
	w.damage("tombstones.json", damages["cut off"])
	w.agent = w.open(agent.Disk{}, w.driver)

	w.Expect(w.awaitsBury()).To(BeTrue())
	_, err = w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Transient))
	w.Expect(w.ops()).To(BeEmpty())
}

func TestAFileUnderAnotherNameIsNotTrusted(t *testing.T) {
	w := newWorld(t)
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	w.kill()
	vms := filepath.Join(w.dir, "journal", "vms")
	w.Expect(os.Rename(filepath.Join(vms, "vm-vm-1.json"), filepath.Join(vms, "vm-vm-2.json"))).To(Succeed())
	w.driver.Boot()
	w.agent = w.open(agent.Disk{}, w.driver)
	w.Expect(w.agent.Bury(t.Context(), nil)).To(BeEmpty())
	w.kill()
	w.Expect(w.ops()).To(Equal([]string{"EnsureVM"}))
}

func TestAWriteThatWasCutOffLeavesNothing(t *testing.T) {
	w := newWorld(t)
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	w.kill()
	part := filepath.Join(w.dir, "journal", "vms", ".part-123")
	w.Expect(os.WriteFile(part, []byte(`{"version":`), 0o600)).To(Succeed())
	w.agent = w.open(agent.Disk{}, w.driver)
	w.Expect(part).NotTo(BeAnExistingFile())
	w.Expect(w.log.String()).NotTo(ContainSubstring("set aside"))
}

func TestAWantedVMIsWrittenDownOnce(t *testing.T) {
	w := newWorld(t)
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	path := filepath.Join(w.dir, "journal", "vms", "vm-vm-1.json")
	before, err := os.Stat(path)
	w.Expect(err).NotTo(HaveOccurred())
	_, err = w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	after, err := os.Stat(path)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(os.SameFile(before, after)).To(BeTrue())
	w.Expect(before.Mode().Perm()).To(Equal(os.FileMode(0o600)))
}
