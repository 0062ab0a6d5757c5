package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestTheClockJumpsByWhatIsLaidThere(t *testing.T) {
	g := NewWithT(t)
	c := &wallClock{file: filepath.Join(t.TempDir(), "offset")}
	g.Expect(c.Now()).To(BeTemporally("~", time.Now(), time.Minute))
	for _, offset := range []time.Duration{-26 * time.Hour, 400 * 24 * time.Hour, 0} {
		g.Expect(os.WriteFile(c.file, []byte(offset.String()), 0o600)).To(Succeed())
		g.Expect(c.Now()).To(BeTemporally("~", time.Now().Add(offset), time.Minute))
		g.Expect(c.file).NotTo(BeAnExistingFile(), "who laid it there sees that it was taken")
		g.Expect(c.Now()).To(BeTemporally("~", time.Now().Add(offset), time.Minute), "it stays so")
	}
}
