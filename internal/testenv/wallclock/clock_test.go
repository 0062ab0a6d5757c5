package wallclock_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/testenv/wallclock"
)

var offsets = []time.Duration{-400 * 24 * time.Hour, -26 * time.Hour, -time.Minute, 26 * time.Hour, 400 * 24 * time.Hour, 0}

func lay(g Gomega, c *wallclock.Clock, offset time.Duration) {
	g.Expect(os.WriteFile(c.File, []byte(offset.String()), 0o600)).To(Succeed())
}

func TestTheClockJumpsByWhatIsLaidThere(t *testing.T) {
	g := NewWithT(t)
	c := &wallclock.Clock{File: filepath.Join(t.TempDir(), "offset")}
	g.Expect(c.Now()).To(BeTemporally("~", time.Now(), time.Minute))
	for _, offset := range offsets {
		lay(g, c, offset)
		g.Expect(c.Now().Round(0)).To(BeTemporally("~", time.Now().Round(0).Add(offset), time.Minute), offset.String())
		g.Expect(c.File).NotTo(BeAnExistingFile(), "who laid it there sees that it was taken")
		g.Expect(c.Now().Round(0)).To(BeTemporally("~", time.Now().Round(0).Add(offset), time.Minute), "it stays so")
	}
}

func TestWhatIsMeasuredWithinTheProcessDoesNotJump(t *testing.T) {
	g := NewWithT(t)
	c := &wallclock.Clock{File: filepath.Join(t.TempDir(), "offset")}
	began := c.Now()
	for _, offset := range offsets {
		lay(g, c, offset)
		g.Expect(c.Since(began)).To(And(BeNumerically(">=", 0), BeNumerically("<", time.Minute)), offset.String())
	}
}

func TestWhatWasWrittenDownIsAsOldAsTheWallClockSays(t *testing.T) {
	g := NewWithT(t)
	c := &wallclock.Clock{File: filepath.Join(t.TempDir(), "offset")}
	written, err := time.Parse(time.RFC3339, c.Now().Format(time.RFC3339))
	g.Expect(err).NotTo(HaveOccurred())
	lay(g, c, 26*time.Hour)
	g.Expect(c.Since(written)).To(BeNumerically("~", 26*time.Hour, time.Minute))
}
