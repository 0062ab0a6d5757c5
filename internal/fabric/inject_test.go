package fabric_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

func TestAnInjectionTellsHowOftenItHit(t *testing.T) {
	l, admin := serve(t, standAlone())
	l.Expect(admin.Inject(ctx, fabricapi.Injection{ID: "a", Op: "DefineVM", Code: fabricapi.Failed, Times: 2})).To(Succeed())
	l.Expect(admin.Inject(ctx, fabricapi.Injection{ID: "b", Op: "StartVM"})).To(Succeed())
	l.Expect(admin.Inject(ctx, fabricapi.Injection{ID: "b"})).To(refused(fabricapi.Exists))
	for range 2 {
		_, err := l.client("hv1").DefineVM(ctx, plain)
		l.Expect(err).To(refused(fabricapi.Failed))
	}
	_, err := l.client("hv1").DefineVM(ctx, plain)
	l.Expect(err).NotTo(HaveOccurred(), "it is spent")
	l.Expect(admin.EndInjection(ctx, "a")).To(Equal(2))
	l.Expect(admin.EndInjection(ctx, "b")).To(Equal(0))
	l.Expect(drop(admin.EndInjection(ctx, "b"))).To(refused(fabricapi.NotFound))
}

func TestACallThatArrivesTwiceIsAnsweredByItsSecond(t *testing.T) {
	l, admin := serve(t, standAlone())
	l.Expect(admin.Inject(ctx, fabricapi.Injection{Op: "CreateDisk", Effect: fabricapi.Repeated})).To(Succeed())
	_, err := l.client("hv1").CreateDisk(ctx, fabricapi.CreateDiskRequest{FileRef: on("csv1", "a.vhdx"), Bytes: gib})
	l.Expect(err).To(refused(fabricapi.Exists))
	l.Expect(l.client("hv1").ListFiles(ctx, fabricapi.ListFilesRequest{Folder: "a"})).To(HaveLen(1))
}

func TestAnAnswerThatIsHeldBackComesLate(t *testing.T) {
	l, admin := serve(t, standAlone())
	l.SetDefaultEventuallyTimeout(time.Minute)
	l.Expect(admin.Inject(ctx, fabricapi.Injection{Op: "DefineVM", Effect: fabricapi.HeldBack, Delay: time.Minute})).To(Succeed())
	answered := make(chan error, 1)
	go func() {
		_, err := l.client("hv1").DefineVM(ctx, plain)
		answered <- err
	}()
	l.Eventually(func() ([]fabricapi.VM, error) { return l.client("hv1").ListVMs(ctx, "") }).Should(HaveLen(1), "the work is done")
	l.Eventually(l.clock.HasWaiters).Should(BeTrue())
	l.Expect(answered).NotTo(Receive())
	l.clock.Step(time.Minute)
	l.Eventually(answered).Should(Receive(BeNil()))
}

func TestAVMMovesInTheMiddleOfACall(t *testing.T) {
	l, admin := serve(t, cluster())
	l.Expect(admin.Inject(ctx, fabricapi.Injection{ID: "made", Op: "DefineVM", Effect: fabricapi.VMMoved, AfterEffect: true})).To(Succeed())
	v, err := l.client("hv1").DefineVM(ctx, plain)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(l.get("hv1", v.GUID).Host).To(Equal("hv2"))
	l.Expect(admin.Inject(ctx, fabricapi.Injection{ID: "started", Op: "StartVM", Effect: fabricapi.VMMoved})).To(Succeed())
	started, err := l.client("hv2").StartVM(ctx, v.GUID)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(started.Host).To(Equal("hv3"))
	l.Expect(admin.EndInjection(ctx, "made")).To(Equal(1))
	l.Expect(admin.EndInjection(ctx, "started")).To(Equal(1))
}

func TestAVMOfAStandAloneHostMovesNowhere(t *testing.T) {
	l, admin := serve(t, standAlone())
	l.Expect(admin.Inject(ctx, fabricapi.Injection{ID: "a", Op: "DefineVM", Effect: fabricapi.VMMoved, AfterEffect: true})).To(Succeed())
	v, err := l.client("hv1").DefineVM(ctx, plain)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(v.Host).To(Equal("hv1"))
	l.Expect(admin.EndInjection(ctx, "a")).To(Equal(0))
}
