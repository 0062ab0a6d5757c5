package machinehosts

import (
	"os"
	"testing"

	"github.com/google/uuid"
	. "github.com/onsi/gomega"
)

func TestEachBootHasAnIDOfItsOwn(t *testing.T) {
	g := NewWithT(t)
	h := New(Options{Dir: t.TempDir(), RunDir: t.TempDir()})
	g.Expect(h.known()).To(BeEmpty())
	ids := map[string]bool{}
	for range 2 {
		g.Expect(h.Boot("hv1")).To(Succeed())
		id, err := os.ReadFile(h.DriverOptions("hv1").BootIDFile)
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
