package machinectr_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestAHostIsSeenBesideItsOpenDriver(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	observer, err := machinectr.Observe(h.options)
	g.Expect(err).NotTo(HaveOccurred())
	nothing := func() {
		g.Expect(observer.Guests()).To(BeEmpty())
		g.Expect(observer.Leftovers()).To(BeEmpty())
	}
	nothing()
	h.stage()
	nothing()

	req := h.request(1)
	id := req.Stamp.ID
	_, err = h.driver.EnsureVM(t.Context(), req)
	g.Expect(err).NotTo(HaveOccurred())
	h.AwaitGuest(id)
	before := h.Contents()
	guests, err := observer.Guests()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(guests).To(HaveLen(1))
	g.Expect(guests[0].ID).To(Equal(id))
	g.Expect(guests[0].Init).To(Equal(h.pid(id)))
	g.Expect(guests[0].Console).To(BeARegularFile())
	g.Expect(observer.Leftovers()).To(ConsistOf(
		"claim of VM "+string(id), "configuration of VM "+string(id), "guest of VM "+string(id), "disks or seed of VM "+string(id)+" on volume csv1",
	))
	g.Expect(h.Contents()).To(Equal(before), "looking changes nothing")

	_, err = h.driver.SetPower(t.Context(), hostapi.SetPowerRequest{Stamp: req.Stamp, Power: hostapi.PowerOff, Force: true})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(observer.Guests()).To(HaveEach(HaveField("Init", BeZero())))
	g.Expect(observer.Leftovers()).To(ContainElement("configuration of VM "+string(id)), "it is there without power")

	g.Expect(h.driver.DeleteVM(t.Context(), hostapi.DeleteVMRequest{Stamp: req.Stamp})).To(Succeed())
	nothing()
}

func TestAHostThatIsNotThereHasNothing(t *testing.T) {
	g := NewWithT(t)
	observer, err := machinectr.Observe(machinectr.Options{
		Host: "nowhere", Dir: t.TempDir(), RunDir: t.TempDir(), Layer: "/nowhere", Volumes: []machinectr.Volume{{Name: "csv1", Path: t.TempDir()}},
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(observer.Guests()).To(BeEmpty())
	g.Expect(observer.Leftovers()).To(BeEmpty())
}
