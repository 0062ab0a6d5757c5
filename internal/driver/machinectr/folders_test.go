package machinectr_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestWhatElseLiesInTheFoldersIsLeftAlone(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	h.stage()
	id := h.request(1).Stamp.ID
	theirs := []string{"file", ".hidden/file", "home/file", "guests/file", "guests/.hidden/file", "guests/folder/file", "guests/" + string(id) + "/file"}
	for _, name := range theirs {
		path := filepath.Join(h.options.RunDir, name)
		g.Expect(os.MkdirAll(filepath.Dir(path), 0o700)).To(Succeed())
		g.Expect(os.WriteFile(path, []byte("precious"), 0o600)).To(Succeed())
	}
	h.Restart()
	_, err := h.driver.EnsureVM(t.Context(), h.request(1))
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.NotOwned), "%v", err)
	_, err = h.driver.EnsureVM(t.Context(), h.request(2))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(h.driver.DeleteVM(t.Context(), hostapi.DeleteVMRequest{Stamp: h.request(1).Stamp})).To(Succeed())
	h.PowerCycle()
	g.Expect(h.driver.TearDown(t.Context())).To(Succeed())
	for _, name := range theirs {
		g.Expect(filepath.Join(h.options.RunDir, name)).To(BeARegularFile())
	}
	h.Restart()
}

func TestWhatAKilledAgentLeftOfAGuestIsSwept(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	h.stage()
	id := h.request(1).Stamp.ID
	_, err := h.driver.EnsureVM(t.Context(), h.request(1))
	g.Expect(err).NotTo(HaveOccurred())
	h.RemoveVM(id)
	g.Expect(os.Remove(filepath.Join(h.options.Dir, "claims", string(id)+".json"))).To(Succeed())
	g.Expect(os.RemoveAll(h.vmFolder("csv1", id))).To(Succeed())
	run := filepath.Join(h.options.RunDir, "guests", string(id))
	g.Expect(run).To(BeADirectory())
	h.Restart()
	g.Expect(run).NotTo(BeADirectory())
}

func TestAnAgentKeepsOthersOffItsFolders(t *testing.T) {
	h := newHost(t)
	for name, change := range map[string]func(*machinectr.Options, string){
		"its folder for what outlives a boot":  func(o *machinectr.Options, own string) { o.RunDir = own },
		"its folder for what does not outlive": func(o *machinectr.Options, own string) { o.Dir = own },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			o := h.options
			o.Host += "x"
			change(&o, t.TempDir())
			_, err := machinectr.New(t.Context(), o)
			g.Expect(err).To(MatchError(ContainSubstring("another agent has it")))
		})
	}
	h.Restart()
}
