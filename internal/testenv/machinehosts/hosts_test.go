package machinehosts

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
)

func TestAnAgentIsToldWhatTheDriverIs(t *testing.T) {
	g := NewWithT(t)
	h := New(Options{Dir: "/srv/hosts"})
	args := h.AgentArgs("hv1")
	o := h.options("hv1")
	g.Expect(args).To(ContainElements("--driver=machinectr", "--machinectr-host=dev-hv1", "--machinectr-layer=/srv/hosts/layer"))
	volume, err := machinectr.ParseVolume("csv1=/srv/hosts/hv1/csv1,549755813888")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(args).To(ContainElement("--machinectr-volume=csv1=/srv/hosts/hv1/csv1,549755813888"))
	g.Expect(o.Volumes[0]).To(Equal(volume))
	g.Expect(o.Switches[0].Address).To(Equal(netip.MustParsePrefix(address)))
}

func TestEachBootHasAnIDOfItsOwn(t *testing.T) {
	g := NewWithT(t)
	h := New(Options{Dir: t.TempDir()})
	g.Expect(h.known()).To(BeEmpty())
	ids := map[string]bool{}
	for range 2 {
		g.Expect(h.Boot("hv1")).To(Succeed())
		id, err := os.ReadFile(h.options("hv1").BootIDFile)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(uuid.Validate(string(id[:36]))).To(Succeed())
		ids[string(id)] = true
	}
	g.Expect(ids).To(HaveLen(2))
	g.Expect(h.known()).To(Equal([]string{"hv1"}))
}

func TestWhatVMsLeaveIsFound(t *testing.T) {
	g := NewWithT(t)
	h := New(Options{Dir: t.TempDir()})
	g.Expect(h.Boot("hv1")).To(Succeed())
	g.Expect(h.Leftovers(t.Context())).To(BeEmpty())
	o := h.options("hv1")
	for _, left := range []string{
		filepath.Join(o.Dir, "claims", "1.json"), filepath.Join(o.Dir, "vms", "1.json"),
		filepath.Join(o.Volumes[0].Path, "capstan", "vms", "1"), filepath.Join(o.Volumes[1].Path, "capstan", "vms", "1"),
	} {
		g.Expect(os.MkdirAll(left, 0o700)).To(Succeed())
	}
	// An image may stay.
	g.Expect(os.MkdirAll(filepath.Join(o.Volumes[0].Path, "capstan", "images", "1"), 0o700)).To(Succeed())
	g.Expect(h.Leftovers(t.Context())).To(ConsistOf(
		"hv1/state/claims/1.json on host hv1", "hv1/state/vms/1.json on host hv1",
		"hv1/csv1/capstan/vms/1 on host hv1", "hv1/csv2/capstan/vms/1 on host hv1",
	))
}

func TestWhoHasNotTakenTheMachineTakesNothingOffIt(t *testing.T) {
	g := NewWithT(t)
	h := New(Options{Dir: t.TempDir()})
	g.Expect(h.Boot("hv1")).To(Succeed())
	g.Expect(h.TearDown(t.Context())).To(Succeed())
	g.Expect(h.known()).To(Equal([]string{"hv1"}))
}
