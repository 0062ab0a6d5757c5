package controllers

import (
	"flag"
	"io"
	"testing"

	. "github.com/onsi/gomega"
)

func TestAnOvercommitThatMakesNoSenseIsRefused(t *testing.T) {
	for value, want := range map[string]float64{"1.5": 1.5, "100": 100, "0": 0, "-1": 0, "101": 0, "NaN": 0, "much": 0} {
		t.Run(value, func(t *testing.T) {
			g := NewWithT(t)
			options := DefaultOptions()
			flags := flag.NewFlagSet("manager", flag.ContinueOnError)
			flags.SetOutput(io.Discard)
			options.AddFlags(flags)
			err := flags.Parse([]string{"--storage-overcommit=" + value})
			if want == 0 {
				g.Expect(err).To(MatchError(ContainSubstring("must be a number above 0 and up to 100")))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(options.Placement.StorageOvercommit).To(Equal(want))
		})
	}
}
