package fabric_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

func TestWorldSurvivesTheEndOfItsProcess(t *testing.T) {
	l := newLab(t, cluster())
	running, off := l.vm("hv1", "a"), l.vm("hv2", "bb")
	l.start("hv1", running.GUID)
	l.booted("hv1", running.GUID)
	_, err := l.Host("hv1").ClaimRole(ctx, fabricapi.ClaimRoleRequest{Name: "a", Volumes: []string{"csv1"}})
	l.Expect(err).NotTo(HaveOccurred())
	l.pull(l.Admin().SetVolumeFault(ctx, fabricapi.SetVolumeFaultRequest{Site: "fc1", Volume: "csv4", Fault: fabricapi.Maintenance}))
	l.pull(l.Admin().Publish(ctx, fabric.SimulatedImage("new", "Linux", "v1.37.1", gib)))
	before, err := l.Admin().World(ctx, fabricapi.None{})
	l.Expect(err).NotTo(HaveOccurred())

	l.restart()
	l.booted("hv1", running.GUID)
	l.Expect(l.get("hv1", off.GUID).State).To(Equal(fabricapi.Off))
	after, err := l.Admin().World(ctx, fabricapi.None{})
	l.Expect(err).NotTo(HaveOccurred())
	// The console of a guest that was power-cycled begins anew.
	l.Expect(after).To(Equal(before))
	l.Expect(l.guests.lines()).To(Equal([]string{"start a", "stop a", "start a"}))
}

func TestFailoverThatWasDueGoesOnAfterARestart(t *testing.T) {
	l := newLab(t, cluster())
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	l.pull(l.Admin().HostDown(ctx, fabricapi.HostRef{Host: "hv1"}))
	l.clock.Step(failoverDelay / 2)
	l.restart()
	l.Expect(l.get("hv2", v.GUID).State).To(Equal(fabricapi.Lost))
	l.clock.Step(failoverDelay / 2)
	l.Expect(l.wait("hv2", v.GUID, fabricapi.Running, "").Host).NotTo(Equal("hv1"))
}

func TestGuestsDiskGoesWithItsFile(t *testing.T) {
	l := newLab(t, standAlone())
	h := l.Host("hv1")
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	l.booted("hv1", v.GUID)
	dir := l.guests.booted[0].DiskDir
	l.Expect(os.MkdirAll(filepath.Join(dir, "etc"), 0o700)).To(Succeed())
	_, err := h.TurnOffVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).NotTo(HaveOccurred())
	_, err = h.DestroyVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(dir).To(BeADirectory())
	_, err = h.DeleteFile(ctx, v.Disks[0])
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(dir).NotTo(BeADirectory())
}

func TestTopologyThatLacksAVolumeInUseIsRefused(t *testing.T) {
	l := newLab(t, cluster())
	l.vm("hv1", "a")
	l.Expect(l.World.Close()).To(Succeed())
	l.opts.Topology.FailoverClusters[0].Volumes = l.opts.Topology.FailoverClusters[0].Volumes[1:]
	_, err := fabric.New(l.opts)
	l.Expect(err).To(MatchError(ContainSubstring("no such volume")))
}

func TestTopologyFile(t *testing.T) {
	cases := map[string]struct{ yaml, err string }{
		"stand-alone": {yaml: "hosts:\n- {name: a, processors: 1, memoryMiB: 1024, switches: [s], volumes: [{name: v, sizeGiB: 1}]}\n"},
		"cluster": {yaml: "hosts:\n- {name: a, processors: 1, memoryMiB: 1024, switches: [s]}\n" +
			"failoverClusters:\n- {name: c, hosts: [a], volumes: [{name: v, sizeGiB: 1}]}\n"},
		"no hosts":        {yaml: "{}", err: "no hosts"},
		"unknown field":   {yaml: "host: []", err: "unknown field"},
		"twice":           {yaml: "hosts:\n- {name: a, processors: 1, memoryMiB: 1}\n- {name: a, processors: 1, memoryMiB: 1}", err: "not unique"},
		"no memory":       {yaml: "hosts:\n- {name: a, processors: 1, memoryMiB: 1, reserveMiB: 1}", err: "more memoryMiB"},
		"foreign host":    {yaml: "hosts:\n- {name: a, processors: 1, memoryMiB: 1}\nfailoverClusters:\n- {name: c, hosts: [b]}", err: `"b" is no host`},
		"volume of 0 GiB": {yaml: "hosts:\n- {name: a, processors: 1, memoryMiB: 1, volumes: [{name: v}]}", err: "sizeGiB"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := fabric.ParseTopology([]byte(c.yaml))
			if c.err == "" {
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).To(MatchError(ContainSubstring(c.err)))
			}
		})
	}
}
