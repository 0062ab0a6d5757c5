package fabric_test

import (
	"context"
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// serve serves a lab on its sockets. Their directory's name is short: a socket's
// path may not be long.
func serve(t *testing.T, topology fabric.Topology) (*lab, *fabricapi.AdminClient) {
	t.Helper()
	l := newLab(t, topology)
	dir, err := os.MkdirTemp("", "fabric")
	l.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l.opts.Dir = dir
	l.restart()
	running, stop := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- l.Serve(running, func() { close(ready) }) }()
	t.Cleanup(func() {
		stop()
		l.Expect(<-done).To(Succeed())
	})
	<-ready
	return l, fabricapi.NewAdminClient(fabricapi.UnixTransport(fabric.AdminSocket(dir)))
}

func (l *lab) client(host string) *fabricapi.HostClient {
	return fabricapi.NewHostClient(fabricapi.UnixTransport(fabric.HostSocket(l.opts.Dir, host)))
}

var plain = fabricapi.DefineVMRequest{Name: "a", ConfigVolume: "csv1", Processors: 1, MemoryMiB: 1024}

func TestSocketShowsOnlyItsOwnHost(t *testing.T) {
	l, admin := serve(t, standAlone())
	v, err := l.client("hv1").DefineVM(ctx, plain)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(l.client("hv1").ListVMs(ctx, "")).To(HaveLen(1))
	_, err = l.client("hv2").GetVM(ctx, v.GUID)
	l.Expect(err).To(refused(fabricapi.NotFound))
	world, err := admin.World(ctx)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(world.Sites).To(HaveLen(2))
	l.Expect(world.Sites[0].VMs).To(ConsistOf(v))
}

func TestHostWithNoPowerDoesNotAnswer(t *testing.T) {
	l, admin := serve(t, standAlone())
	l.Expect(admin.HostDown(ctx, "hv1")).To(Succeed())
	_, err := l.client("hv1").Host(ctx)
	l.Expect(err).To(MatchError(fabricapi.ErrUnreachable))
	l.Expect(admin.HostUp(ctx, "hv1")).To(Succeed())
	_, err = l.client("hv1").Host(ctx)
	l.Expect(err).NotTo(HaveOccurred())
}

func TestFrozenHostAnswersOnceItIsThawed(t *testing.T) {
	l, admin := serve(t, standAlone())
	l.Expect(admin.FreezeHost(ctx, "hv1", true)).To(Succeed())
	impatient, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err := l.client("hv1").Host(impatient)
	l.Expect(err).To(MatchError(context.DeadlineExceeded))

	answered := make(chan error)
	go func() {
		_, err := l.client("hv1").Host(ctx)
		answered <- err
	}()
	l.Consistently(answered, "30ms").ShouldNot(Receive())
	l.Expect(admin.FreezeHost(ctx, "hv1", false)).To(Succeed())
	l.Expect(<-answered).NotTo(HaveOccurred())
}

func TestInjectedFailures(t *testing.T) {
	cases := map[string]struct {
		injection fabricapi.Injection
		err       OmegaMatcher
		effect    bool
	}{
		"before the effect":        {fabricapi.Injection{Op: "DefineVM", Code: fabricapi.Failed}, refused(fabricapi.Failed), false},
		"after the effect":         {fabricapi.Injection{Op: "DefineVM", Code: fabricapi.Failed, AfterEffect: true}, refused(fabricapi.Failed), true},
		"answer lost":              {fabricapi.Injection{AfterEffect: true}, MatchError(fabricapi.ErrUnreachable), true},
		"of another call":          {fabricapi.Injection{Op: "StartVM"}, Not(HaveOccurred()), true},
		"of another host":          {fabricapi.Injection{Host: "hv2"}, Not(HaveOccurred()), true},
		"of the second call to be": {fabricapi.Injection{Skip: 1}, Not(HaveOccurred()), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l, admin := serve(t, standAlone())
			l.Expect(admin.Inject(ctx, c.injection)).To(Succeed())
			_, err := l.client("hv1").DefineVM(ctx, plain)
			l.Expect(err).To(c.err)
			l.Expect(admin.ClearInjections(ctx)).To(Succeed())
			vms, err := l.client("hv1").ListVMs(ctx, "")
			l.Expect(err).NotTo(HaveOccurred())
			if c.effect {
				l.Expect(vms).To(HaveLen(1))
			} else {
				l.Expect(vms).To(BeEmpty())
			}
		})
	}
}

func TestThingsDoneByHand(t *testing.T) {
	l, admin := serve(t, standAlone())
	v, err := admin.AddVM(ctx, fabricapi.AddVMRequest{Host: "hv1", DefineVMRequest: plain})
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(v.Stamp).To(BeNil())
	l.Expect(admin.AddFile(ctx, fabricapi.AddFileRequest{Site: "hv1", File: fabricapi.File{
		FileRef: on("csv1", "foreign.vhdx"), Kind: fabricapi.VHDX, VirtualBytes: gib,
	}})).To(Succeed())
	l.Expect(l.client("hv1").ListFiles(ctx, fabricapi.ListFilesRequest{Folder: "foreign"})).To(HaveLen(1))

	foreign := fabricapi.RemoveFileRequest{Site: "hv1", FileRef: on("csv1", "foreign.vhdx")}
	_, err = l.client("hv1").AttachDisk(ctx, v.GUID, foreign.FileRef)
	l.Expect(err).NotTo(HaveOccurred())

	_, err = l.client("hv1").StartVM(ctx, v.GUID)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(admin.RemoveFile(ctx, foreign)).To(refused(fabricapi.InUse))
	l.Expect(admin.PowerOffVM(ctx, v.GUID)).To(Succeed())
	l.Expect(l.get("hv1", v.GUID).State).To(Equal(fabricapi.Off))
	l.Expect(admin.RemoveFile(ctx, foreign)).To(Succeed())
	_, err = l.client("hv1").StartVM(ctx, v.GUID)
	l.Expect(err).To(refused(fabricapi.NotFound))
	l.Expect(admin.RemoveVM(ctx, v.GUID)).To(Succeed())
	_, err = l.client("hv1").GetVM(ctx, v.GUID)
	l.Expect(err).To(refused(fabricapi.NotFound))
	l.Expect(admin.RemoveVM(ctx, v.GUID)).To(refused(fabricapi.NotFound))
}

func TestSecondFabricInADirectoryIsRefused(t *testing.T) {
	l, _ := serve(t, standAlone())
	_, err := fabric.New(l.opts)
	l.Expect(err).To(MatchError(ContainSubstring("another fabric")))
}
