package fabric_test

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

func TestWhatHostsTakeAwayIsRememberedWithItsOwner(t *testing.T) {
	l, admin := serve(t, cluster())
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	hv2 := l.client("hv2")
	_, err := hv2.TurnOffVM(ctx, v.GUID)
	l.Expect(err).NotTo(HaveOccurred())
	_, err = hv2.TurnOffVM(ctx, v.GUID)
	l.Expect(err).NotTo(HaveOccurred(), "it is off, so nothing is taken away")
	l.Expect(hv2.DestroyVM(ctx, v.GUID)).To(Succeed())
	l.Expect(hv2.DestroyVM(ctx, v.GUID)).To(refused(fabricapi.NotFound))
	l.Expect(hv2.DeleteFile(ctx, v.Disks[0])).To(Succeed())
	_, err = hv2.ClaimRole(ctx, fabricapi.ClaimRoleRequest{Name: "a", Stamp: v.Stamp})
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(hv2.ReleaseRole(ctx, "a")).To(Succeed())

	all, err := admin.Deeds(ctx, 0)
	l.Expect(err).NotTo(HaveOccurred())
	var ops []string
	for i, deed := range all {
		ops = append(ops, deed.Op)
		l.Expect(deed.Number).To(Equal(i + 1))
		l.Expect(deed.Host).To(Equal("hv2"))
		l.Expect(deed.Electorate).To(BeNil())
	}
	l.Expect(ops).To(Equal([]string{"TurnOffVM", "DestroyVM", "DeleteFile", "ReleaseRole"}))
	l.Expect(all[0]).To(And(HaveField("Object", v.GUID), HaveField("Name", "a"), HaveField("Stamp", v.Stamp)))
	l.Expect(all[2].Stamp).To(BeNil(), "the disk bears none")
	l.Expect(admin.Deeds(ctx, 3)).To(ConsistOf(all[3]))
}

func TestWhatPeopleTakeAwayByHandIsNoDeed(t *testing.T) {
	l, admin := serve(t, standAlone())
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	l.Expect(admin.PowerOffVM(ctx, v.GUID)).To(Succeed())
	l.Expect(admin.RemoveVM(ctx, v.GUID)).To(Succeed())
	l.Expect(admin.Deeds(ctx, 0)).To(BeEmpty())
}

// voters are guests that have a vote.
type voters struct{ fabric.NoGuests }

func (v voters) Start(context.Context, fabric.Machine, func(fabric.Report)) (fabric.Guest, error) {
	return v, nil
}

func (voters) Electorate() *fabricapi.Electorate {
	return &fabricapi.Electorate{Cluster: "c", Voting: 3, Running: 2}
}

func TestAVoteThatIsTakenAwayIsRemembered(t *testing.T) {
	l := newLab(t, standAlone())
	l.opts.Guests = voters{}
	l.restart()
	v := l.vm("hv1", "a")
	l.start("hv1", v.GUID)
	l.booted("hv1", v.GUID)
	_, err := l.Host("hv1").TurnOffVM(ctx, fabricapi.VMRef{GUID: v.GUID})
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(l.Admin().Deeds(ctx, fabricapi.DeedsRequest{})).To(ConsistOf(
		HaveField("Electorate", Equal(&fabricapi.Electorate{Cluster: "c", Voting: 3, Running: 2}))))
}

func TestAWithdrawnImageCannotBeCopiedAnyMore(t *testing.T) {
	l, image := imageLab(t)
	l.pull(l.Admin().Withdraw(ctx, fabricapi.ImageSource{Source: image.Source}))
	_, err := l.Admin().Withdraw(ctx, fabricapi.ImageSource{Source: image.Source})
	l.Expect(err).To(refused(fabricapi.NotFound))
	copied := fabricapi.CopyImageRequest{FileRef: on("csv1", "linux.partial"), Source: image.Source, Bytes: gib}
	_, err = l.Host("hv1").CopyImage(ctx, copied)
	l.Expect(err).To(refused(fabricapi.UnknownSource))
	l.pull(l.Admin().Publish(ctx, image))
	_, err = l.Host("hv1").CopyImage(ctx, copied)
	l.Expect(err).NotTo(HaveOccurred())
}
