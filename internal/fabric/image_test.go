package fabric_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

func imageLab(t *testing.T) (*lab, fabricapi.PublishedImage) {
	t.Helper()
	topology := cluster()
	topology.Images = []fabricapi.PublishedImage{fabric.SimulatedImage(`\\there\linux.vhdx`, "Linux", "v1.36.3", 10*gib)}
	return newLab(t, topology), topology.Images[0]
}

func TestCopyTakesItsTimeAndKeepsWhatWasCopiedWhenItIsCutOff(t *testing.T) {
	l, image := imageLab(t)
	l.opts.CopyBytesPerSecond = gib
	l.restart()
	h := l.Host("hv1")
	file := on("csv1", "linux.partial")
	cut, cancel := context.WithCancel(ctx)
	done := make(chan error)
	copyOn := func(ctx context.Context, offset int64) {
		_, err := h.CopyImage(ctx, fabricapi.CopyImageRequest{FileRef: file, Source: image.Source, Offset: offset, Bytes: 10 * gib})
		done <- err
	}
	go copyOn(cut, 0)
	l.Eventually(l.clock.HasWaiters).Should(BeTrue())
	_, err := l.Host("hv2").CopyImage(ctx, fabricapi.CopyImageRequest{FileRef: file, Source: image.Source, Bytes: gib})
	l.Expect(err).To(refused(fabricapi.Busy))
	l.clock.Step(4 * time.Second)
	cancel()
	l.Expect(<-done).To(MatchError(context.Canceled))

	partial, err := h.GetFile(ctx, file)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(partial.FileBytes).To(Equal(4 * gib))
	sum, err := h.Checksum(ctx, file)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(sum.SHA256).NotTo(Equal(image.SHA256))
	_, err = h.CreateDisk(ctx, fabricapi.CreateDiskRequest{FileRef: on("csv1", "x.vhdx"), Parent: file.Path})
	l.Expect(err).To(refused(fabricapi.MissingParent))

	go copyOn(ctx, 4*gib)
	l.Eventually(l.clock.HasWaiters).Should(BeTrue())
	l.clock.Step(6 * time.Second)
	l.Expect(<-done).NotTo(HaveOccurred())
	sum, err = h.Checksum(ctx, file)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(sum.SHA256).To(Equal(image.SHA256))
}

func TestCopyOfTwoContentsIsNeither(t *testing.T) {
	l, image := imageLab(t)
	file := on("csv1", "linux.partial")
	copyOn := func(offset int64) {
		_, err := l.Host("hv1").CopyImage(ctx, fabricapi.CopyImageRequest{
			FileRef: file, Source: image.Source, Offset: offset, Bytes: 5 * gib})
		l.Expect(err).NotTo(HaveOccurred())
	}
	copyOn(0)
	other := image
	other.SHA256 = "other"
	l.pull(l.Admin().Publish(ctx, other))
	copyOn(5 * gib)
	sum, err := l.Host("hv1").Checksum(ctx, file)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(sum.SHA256).NotTo(BeElementOf(image.SHA256, other.SHA256))
}

func TestParentStaysAsLongAsItHasChildren(t *testing.T) {
	l, image := imageLab(t)
	h := l.Host("hv1")
	parent, child := on("csv1", "linux.vhdx"), on("csv1", `a\boot.vhdx`)
	_, err := h.CopyImage(ctx, fabricapi.CopyImageRequest{FileRef: parent, Source: image.Source, Bytes: 10 * gib})
	l.Expect(err).NotTo(HaveOccurred())
	disk, err := h.CreateDisk(ctx, fabricapi.CreateDiskRequest{FileRef: child, Parent: parent.Path, Bytes: 50 * gib})
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(disk.VirtualBytes).To(Equal(50 * gib))

	world, err := l.Admin().World(ctx, fabricapi.None{})
	l.Expect(err).NotTo(HaveOccurred())
	volume := world.Sites[0].Volumes[0]
	l.Expect(volume.ProvisionedBytes).To(Equal(50 * gib))
	l.Expect(volume.Bytes - volume.FreeBytes).To(Equal(10*gib + 4*mib))

	_, err = h.DeleteFile(ctx, parent)
	l.Expect(err).To(refused(fabricapi.InUse))
	_, err = h.MoveFile(ctx, fabricapi.MoveFileRequest{FileRef: parent, To: "elsewhere.vhdx"})
	l.Expect(err).To(refused(fabricapi.InUse))
	_, err = h.CreateDisk(ctx, fabricapi.CreateDiskRequest{FileRef: on("csv2", "x.vhdx"), Parent: parent.Path})
	l.Expect(err).To(refused(fabricapi.MissingParent))
	_, err = h.CreateDisk(ctx, fabricapi.CreateDiskRequest{FileRef: on("csv1", "x.vhdx"), Parent: parent.Path, Bytes: gib})
	l.Expect(err).To(refused(fabricapi.InvalidParameter))
	for _, ref := range []fabricapi.FileRef{child, parent} {
		_, err = h.DeleteFile(ctx, ref)
		l.Expect(err).NotTo(HaveOccurred())
	}
}
