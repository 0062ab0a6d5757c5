package main

import (
	"flag"
	"io"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
	"github.com/capstan-k8s/capstan/internal/testenv/machinehosts"
)

func parse(args ...string) (driver string, o machinectr.Options, err error) {
	flags := flag.NewFlagSet("dev-agent", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&driver, "driver", "", "")
	addMachinectrFlags(flags, &o)
	err = flags.Parse(args)
	return driver, o, err
}

func TestTheAgentOfAHostHasTheOptionsThatItIsLookedAtWith(t *testing.T) {
	hosts := machinehosts.New(machinehosts.Options{Dir: "/srv/hosts", RunDir: "/run/hosts"})
	for _, host := range []string{"hv1", "hv2"} {
		g := NewWithT(t)
		driver, o, err := parse(hosts.AgentArgs(host)...)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(driver).To(Equal(machinectrDriver().Name))
		g.Expect(o).To(Equal(hosts.DriverOptions(host)))
	}
}

func TestWhatIsNoOptionOfAHostIsRefused(t *testing.T) {
	for _, arg := range []string{
		"--machinectr-processors=many", "--machinectr-processors=4294967297", "--machinectr-memory-mib=1G",
		"--machinectr-volume=csv1", "--machinectr-switch=lan=br0,nowhere",
	} {
		_, _, err := parse(arg)
		NewWithT(t).Expect(err).To(HaveOccurred(), arg)
	}
}
