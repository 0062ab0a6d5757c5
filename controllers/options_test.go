package controllers

import (
	"flag"
	"io"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/controllers/orphan"
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

func TestWhatBecomesOfOrphansIsAskedForInKnownWords(t *testing.T) {
	for _, tc := range []struct {
		flag, refused string
		want          func(*orphan.Policy)
	}{
		{flag: "--orphan-removal=nothing", want: func(p *orphan.Policy) { p.Removal = orphan.RemoveNothing }},
		{flag: "--orphan-removal=remnants"},
		{flag: "--orphan-removal=all", want: func(p *orphan.Policy) { p.Removal = orphan.RemoveAll }},
		{flag: "--orphan-removal=everything", refused: "must be nothing, remnants or all"},
		{flag: "--orphan-freeze-share=0.5", want: func(p *orphan.Policy) { p.FreezeShare = 0.5 }},
		{flag: "--orphan-freeze-share=10", refused: "must be a number from 0 to 1"},
		{flag: "--orphan-freeze-share=NaN", refused: "must be a number from 0 to 1"},
		{flag: "--orphan-grace-period=1h", want: func(p *orphan.Policy) { p.Grace = time.Hour }},
	} {
		t.Run(tc.flag, func(t *testing.T) {
			g := NewWithT(t)
			options, want := DefaultOptions(), orphan.DefaultPolicy()
			flags := flag.NewFlagSet("manager", flag.ContinueOnError)
			flags.SetOutput(io.Discard)
			options.AddFlags(flags)
			err := flags.Parse([]string{tc.flag})
			if tc.refused != "" {
				g.Expect(err).To(MatchError(ContainSubstring(tc.refused)))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			if tc.want != nil {
				tc.want(&want)
			}
			g.Expect(options.Orphans).To(Equal(want))
		})
	}
}
