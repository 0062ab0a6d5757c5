package fabric_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

func TestRoleIsOwnedByOneNode(t *testing.T) {
	l := newLab(t, cluster())
	stamp := &fabricapi.Stamp{Installation: "here", ID: "a"}
	claim := fabricapi.ClaimRoleRequest{Name: "a", Stamp: stamp, Volumes: []string{"csv1"}}
	define := fabricapi.DefineVMRequest{Name: "a", Role: "a", Stamp: stamp, ConfigVolume: "csv1", Processors: 1, MemoryMiB: 1024}

	_, err := l.Host("hv1").ClaimRole(ctx, claim)
	l.Expect(err).NotTo(HaveOccurred())
	_, err = l.Host("hv2").ClaimRole(ctx, fabricapi.ClaimRoleRequest{Name: "a", Stamp: &fabricapi.Stamp{Installation: "there", ID: "a"}})
	l.Expect(err).To(refused(fabricapi.Exists))

	claim.Volumes = []string{"csv2"}
	moved, err := l.Host("hv2").ClaimRole(ctx, claim)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(moved.Node).To(Equal("hv2"))
	l.Expect(moved.Volumes).To(ConsistOf("csv1", "csv2"))
	_, err = l.Host("hv1").DefineVM(ctx, define)
	l.Expect(err).To(refused(fabricapi.OwnedElsewhere))
	v, err := l.Host("hv2").DefineVM(ctx, define)
	l.Expect(err).NotTo(HaveOccurred())

	stays, err := l.Host("hv3").ClaimRole(ctx, claim)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(stays.Node).To(Equal("hv2"))
	_, err = l.Host("hv3").ReleaseRole(ctx, fabricapi.RoleRef{Name: "a"})
	l.Expect(err).To(refused(fabricapi.InUse))
	_, err = l.Host("hv3").DestroyVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).NotTo(HaveOccurred())
	_, err = l.Host("hv3").ReleaseRole(ctx, fabricapi.RoleRef{Name: "a"})
	l.Expect(err).NotTo(HaveOccurred())
}

func TestVMOfALostNodeIsRestartedOnAnotherAfterTheDelay(t *testing.T) {
	l := newLab(t, cluster())
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	l.booted("hv1", v.GUID)
	l.pull(l.Admin().HostDown(ctx, fabricapi.HostRef{Host: "hv1"}))

	l.Expect(l.get("hv2", v.GUID).State).To(Equal(fabricapi.Lost))
	_, err := l.Host("hv2").TurnOffVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).To(refused(fabricapi.NodeUnavailable))
	_, err = l.Host("hv1").GetVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).To(MatchError(fabricapi.ErrUnreachable))

	l.clock.Step(failoverDelay)
	l.wait("hv2", v.GUID, fabricapi.Running, "")
	up := l.booted("hv2", v.GUID)
	l.Expect(up.Host).To(BeElementOf("hv2", "hv3"))
	l.Expect(l.guests.lines()).To(Equal([]string{"start a", "stop a", "start a"}))

	l.pull(l.Admin().HostUp(ctx, fabricapi.HostRef{Host: "hv1"}))
	l.Expect(l.get("hv1", v.GUID).Host).To(Equal(up.Host))
}

func TestVMOfANodeThatComesBackBeforeTheDelayStaysThere(t *testing.T) {
	l := newLab(t, cluster())
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	l.booted("hv1", v.GUID)
	before, err := l.Host("hv1").Host(ctx, fabricapi.None{})
	l.Expect(err).NotTo(HaveOccurred())
	l.pull(l.Admin().RebootHost(ctx, fabricapi.HostRef{Host: "hv1"}))
	l.Expect(l.booted("hv1", v.GUID).Host).To(Equal("hv1"))
	after, err := l.Host("hv1").Host(ctx, fabricapi.None{})
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(after.BootID).NotTo(Equal(before.BootID))
}

func TestVMOfALostNodeWaitsForMemory(t *testing.T) {
	topology := fabric.DefaultTopology(2, false)
	topology.Hosts[1].MemoryMiB, topology.Hosts[1].ReserveMiB = 3000, 0
	l := newLab(t, topology)
	first, second := l.vm("hv2", "bb"), l.vm("hv1", "a")
	l.start("hv2", first.GUID)
	l.start("hv1", second.GUID)
	l.booted("hv1", second.GUID)
	l.pull(l.Admin().HostDown(ctx, fabricapi.HostRef{Host: "hv1"}))
	l.clock.Step(failoverDelay)
	l.wait("hv2", second.GUID, fabricapi.Lost, "")

	_, err := l.Host("hv2").TurnOffVM(ctx, fabricapi.VMRef{GUID: first.GUID})
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(l.wait("hv2", second.GUID, fabricapi.Running, "").Host).To(Equal("hv2"))
}

func TestStandAloneHostStartsNothingAfterItsPowerWasAway(t *testing.T) {
	l := newLab(t, standAlone())
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	l.booted("hv1", v.GUID)
	l.pull(l.Admin().RebootHost(ctx, fabricapi.HostRef{Host: "hv1"}))
	l.clock.Step(failoverDelay + bootTime)
	l.Expect(l.get("hv1", v.GUID).State).To(Equal(fabricapi.Off))
	l.Expect(l.World.Close()).To(Succeed())
	l.Expect(l.guests.lines()).To(Equal([]string{"start a", "stop a"}))
}

func TestNodeThatIsCutOffItsClusterCannotBeAskedAboutAnything(t *testing.T) {
	l := newLab(t, cluster())
	v := l.vm("hv1", "a")
	l.pull(l.Admin().IsolateHost(ctx, fabricapi.SetHostRequest{Host: "hv1", On: true}))
	_, err := l.Host("hv1").GetVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).To(refused(fabricapi.ClusterUnavailable))
	_, err = l.Host("hv2").StartVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).To(refused(fabricapi.NodeUnavailable))
	l.pull(l.Admin().IsolateHost(ctx, fabricapi.SetHostRequest{Host: "hv1"}))
	l.start("hv2", v.GUID)
}

func TestUnpluggedHostHasVMsWithoutANetwork(t *testing.T) {
	l := newLab(t, cluster())
	running, booting, elsewhere := l.vm("hv1", "a"), l.vm("hv1", "b"), l.vm("hv2", "c")
	for _, v := range []fabricapi.VM{running, elsewhere} {
		l.start(v.Host, v.GUID)
		l.booted(v.Host, v.GUID)
	}
	l.pull(l.Admin().UnplugHost(ctx, fabricapi.SetHostRequest{Host: "hv1", On: true}))
	l.start("hv1", booting.GUID)
	l.booted("hv1", booting.GUID)
	l.Eventually(l.guests.lines).Should(Equal([]string{"start a", "start c", "link a false", "start b", "link b false"}))
	l.pull(l.Admin().MoveVM(ctx, fabricapi.MoveVMRequest{GUID: running.GUID, Host: "hv3"}))
	l.pull(l.Admin().UnplugHost(ctx, fabricapi.SetHostRequest{Host: "hv1"}))
	l.Expect(l.guests.lines()[5:]).To(Equal([]string{"link a true", "link b true"}))
}

func TestMovedVMKeepsItsGuest(t *testing.T) {
	l := newLab(t, cluster())
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	l.booted("hv1", v.GUID)
	l.pull(l.Admin().MoveVM(ctx, fabricapi.MoveVMRequest{GUID: v.GUID, Host: "hv3"}))
	l.Expect(l.get("hv1", v.GUID)).To(And(HaveField("Host", "hv3"), HaveField("Heartbeat", fabricapi.HeartbeatOK)))
	l.Expect(l.guests.lines()).To(Equal([]string{"start a"}))
}
