package controllers

import (
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/controllers/orphan"
	"github.com/capstan-k8s/capstan/internal/outage"
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

func TestTimeoutsOfHealingAreAboveNothing(t *testing.T) {
	defaults := outage.Timeouts{
		HostLoss: outage.DefaultHostLossTimeout, VolumeFault: outage.DefaultVolumeFaultTimeout,
		MissingVM: outage.DefaultMissingVMTimeout, Hold: outage.DefaultHold,
	}
	for _, tc := range []struct {
		flag, refused string
		want          func(*outage.Timeouts)
	}{
		{flag: "--leader-elect"},
		{flag: "--host-loss-timeout=20s", want: func(t *outage.Timeouts) { t.HostLoss = 20 * time.Second }},
		{flag: "--host-loss-timeout=-1s", want: func(t *outage.Timeouts) { t.HostLoss = -time.Second }},
		{flag: "--host-loss-timeout=0", refused: "must be above 0, or negative for never"},
		{flag: "--volume-fault-timeout=5s", want: func(t *outage.Timeouts) { t.VolumeFault = 5 * time.Second }},
		{flag: "--volume-fault-timeout=-5s", refused: "must be above 0"},
		{flag: "--missing-vm-timeout=2m", want: func(t *outage.Timeouts) { t.MissingVM = 2 * time.Minute }},
		{flag: "--missing-vm-timeout=-1m", refused: "must be above 0"},
		{flag: "--missing-vm-timeout=0s", refused: "must be above 0"},
		{flag: "--missing-vm-timeout=soon", refused: "must be a duration such as 90s or 8m"},
		{flag: "--repair-hold=1h", want: func(t *outage.Timeouts) { t.Hold = time.Hour }},
		{flag: "--repair-hold=0", refused: "must be above 0"},
	} {
		t.Run(tc.flag, func(t *testing.T) {
			g := NewWithT(t)
			options, want := DefaultOptions(), defaults
			flags := flag.NewFlagSet("manager", flag.ContinueOnError)
			flags.SetOutput(io.Discard)
			options.AddFlags(flags)
			err := flags.Parse([]string{tc.flag})
			if tc.refused != "" {
				g.Expect(err).To(MatchError(ContainSubstring(tc.refused)))
				g.Expect(options.Healing).To(Equal(defaults))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			if tc.want != nil {
				tc.want(&want)
			}
			g.Expect(options.Healing).To(Equal(want))
		})
	}
}

func TestHelpTellsAfterHowLongMachinesAreReplaced(t *testing.T) {
	g := NewWithT(t)
	var help strings.Builder
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(&help)
	DefaultOptions().AddFlags(flags)
	g.Expect(flags.Parse([]string{"--help"})).To(MatchError(flag.ErrHelp))
	for name, fallback := range map[string]string{"host-loss-timeout": "8m0s", "volume-fault-timeout": "3m0s", "missing-vm-timeout": "1m0s", "repair-hold": "30m0s"} {
		g.Expect(help.String()).To(MatchRegexp(`(?m)^  -%s duration\n.*\(default %s\)$`, name, fallback))
	}
	g.Expect(help.String()).To(And(ContainSubstring("the peer of a load balancer's VM"), ContainSubstring("a VM that is missing"), ContainSubstring("back only now")))
}
