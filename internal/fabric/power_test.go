package fabric_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

func TestGuestAnswersAfterItsBootTime(t *testing.T) {
	l := newLab(t, standAlone())
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	l.Expect(l.get("hv1", v.GUID)).To(And(
		HaveField("State", fabricapi.Running), HaveField("Heartbeat", fabricapi.HeartbeatNone)))
	l.Expect(l.guests.lines()).To(BeEmpty())

	up := l.booted("hv1", v.GUID)
	l.Expect(up.NICs[0].Addresses).To(ConsistOf("127.64.0.10"))
	l.Expect(up.Console).To(ConsistOf("hello from a"))
}

func TestGuestSeesItsSeedAndNothingOnceThatIsEjected(t *testing.T) {
	l := newLab(t, standAlone())
	h := l.Host("hv1")
	v := l.vm("hv1", "a")
	seed := on("csv1", `a\seed.iso`)
	_, err := h.WriteISO(ctx, fabricapi.WriteISORequest{FileRef: seed, Content: []byte("user data")})
	l.Expect(err).NotTo(HaveOccurred())
	_, err = h.AttachISO(ctx, fabricapi.VMFileRef{GUID: v.GUID, FileRef: seed})
	l.Expect(err).NotTo(HaveOccurred())
	l.start("hv1", v.GUID)
	l.booted("hv1", v.GUID)
	l.Expect(l.guests.booted[0].Seed).To(Equal([]byte("user data")))
	l.Expect(l.guests.booted[0].MACs).To(HaveLen(1))

	_, err = h.DeleteFile(ctx, seed)
	l.Expect(err).To(refused(fabricapi.InUse))
	_, err = h.EjectISO(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).NotTo(HaveOccurred())
	_, err = h.DeleteFile(ctx, seed)
	l.Expect(err).NotTo(HaveOccurred())

	_, err = h.TurnOffVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).NotTo(HaveOccurred())
	l.start("hv1", v.GUID)
	l.booted("hv1", v.GUID)
	l.Expect(l.guests.booted[1].Seed).To(BeNil())
	l.Expect(l.guests.booted[1].DiskDir).To(Equal(l.guests.booted[0].DiskDir))
	l.Expect(l.guests.lines()).To(Equal([]string{"start a", "stop a", "start a"}))
}

func TestShutDownTakesItsTime(t *testing.T) {
	l := newLab(t, standAlone())
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	_, err := l.Host("hv1").ShutDownVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).To(refused(fabricapi.GuestNotReady))
	l.booted("hv1", v.GUID)

	stopping, err := l.Host("hv1").ShutDownVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(stopping.State).To(Equal(fabricapi.Stopping))
	l.clock.Step(stopTime)
	l.wait("hv1", v.GUID, fabricapi.Off, "")
	l.Expect(l.World.Close()).To(Succeed())
	l.Expect(l.guests.lines()).To(Equal([]string{"start a", "stop a"}))
}

func TestGuestThatHangsIsNotShutDown(t *testing.T) {
	l := newLab(t, standAlone())
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	l.booted("hv1", v.GUID)
	l.pull(l.Admin().SetGuest(ctx, fabricapi.SetGuestRequest{GUID: v.GUID, Deaf: true}))
	l.Expect(l.get("hv1", v.GUID).Heartbeat).To(Equal(fabricapi.HeartbeatLost))
	_, err := l.Host("hv1").ShutDownVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).NotTo(HaveOccurred())

	timedOut := make(chan error)
	go func() {
		_, err := l.Host("hv1").WaitVM(ctx, fabricapi.WaitVMRequest{GUID: v.GUID, State: fabricapi.Off, Timeout: time.Minute})
		timedOut <- err
	}()
	l.Eventually(l.clock.HasWaiters).Should(BeTrue())
	l.clock.Step(time.Minute)
	l.Expect(<-timedOut).To(refused(fabricapi.TimedOut))
	l.Expect(l.get("hv1", v.GUID).State).To(Equal(fabricapi.Running))
}

func TestGuestOfAVMThatIsSwitchedOffWhileItBootsNeverRuns(t *testing.T) {
	l := newLab(t, standAlone())
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	_, err := l.Host("hv1").TurnOffVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).NotTo(HaveOccurred())
	l.clock.Step(bootTime)
	l.Expect(l.World.Close()).To(Succeed())
	l.Expect(l.guests.lines()).To(BeEmpty())
}

func TestVMThatLosesItsStorageIsPausedUntilItIsBack(t *testing.T) {
	l := newLab(t, cluster())
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	l.booted("hv1", v.GUID)
	l.pull(l.Admin().SetVolumeFault(ctx, fabricapi.SetVolumeFaultRequest{Site: "fc1", Volume: "csv1", Fault: fabricapi.Redirected}))
	l.Expect(l.get("hv1", v.GUID).State).To(Equal(fabricapi.Running))
	l.pull(l.Admin().SetVolumeFault(ctx, fabricapi.SetVolumeFaultRequest{Site: "fc1", Volume: "csv1", Fault: fabricapi.NoAccess}))
	l.Expect(l.get("hv1", v.GUID).State).To(Equal(fabricapi.Critical))
	l.Expect(l.guests.lines()).To(Equal([]string{"start a", "stop a"}))

	_, err := l.Host("hv2").GetFile(ctx, v.Disks[0])
	l.Expect(err).To(refused(fabricapi.VolumeUnavailable))
	l.Expect(l.Host("hv2").ListFiles(ctx, fabricapi.ListFilesRequest{})).To(BeEmpty())
	_, err = l.Host("hv2").ListFiles(ctx, fabricapi.ListFilesRequest{Volumes: []string{"csv1"}})
	l.Expect(err).To(refused(fabricapi.VolumeUnavailable))

	l.pull(l.Admin().SetVolumeFault(ctx, fabricapi.SetVolumeFaultRequest{Site: "fc1", Volume: "csv1"}))
	l.wait("hv1", v.GUID, fabricapi.Running, fabricapi.HeartbeatOK)
}
