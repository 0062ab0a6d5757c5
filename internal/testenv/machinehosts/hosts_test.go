package machinehosts

import (
	"net/netip"
	"os"
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
	g.Expect(o.Switches[0].Address).To(Equal(netip.MustParsePrefix("10.213.0.1/16")))
}

func TestEachBootHasAnIDOfItsOwn(t *testing.T) {
	g := NewWithT(t)
	h := New(Options{Dir: t.TempDir(), RunDir: t.TempDir()})
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

func TestWhoHasNotTakenTheMachineTakesNothingOffIt(t *testing.T) {
	g := NewWithT(t)
	h := New(Options{Dir: t.TempDir(), RunDir: t.TempDir()})
	g.Expect(h.Boot("hv1")).To(Succeed())
	g.Expect(h.TearDown(t.Context())).To(Succeed())
	g.Expect(h.known()).To(Equal([]string{"hv1"}))
}
