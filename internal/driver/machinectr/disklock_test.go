package machinectr_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// tryLock takes the lock of a VM's boot disk, as a guest does.
func (h *host) tryLock(id hostapi.VMID) (*os.File, error) {
	f, err := os.Open(filepath.Join(h.vmFolder("csv1", id), "boot.disk"))
	h.g.Expect(err).NotTo(HaveOccurred())
	h.t.Cleanup(func() { _ = f.Close() })
	return f, syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

func TestADiskIsOneGuestsAlone(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	h.stage()
	req := h.request(1)
	id := req.Stamp.ID
	req.Power = hostapi.PowerOff
	_, err := h.driver.EnsureVM(t.Context(), req)
	g.Expect(err).NotTo(HaveOccurred())
	theirs, err := h.tryLock(id)
	g.Expect(err).NotTo(HaveOccurred())

	req.Power = hostapi.PowerOn
	_, err = h.driver.EnsureVM(t.Context(), req)
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Conflict), "%v", err)
	g.Expect(filepath.Join(h.options.RunDir, "guests", string(id))).NotTo(BeADirectory(), "another guest may be in it")
	g.Expect(h.power(string(id))).To(Equal("off"))

	g.Expect(theirs.Close()).To(Succeed())
	_, err = h.driver.EnsureVM(t.Context(), req)
	g.Expect(err).NotTo(HaveOccurred())
	h.AwaitGuest(id)
	_, err = h.tryLock(id)
	g.Expect(err).To(MatchError(syscall.EWOULDBLOCK), "the guest has it")
	_, err = h.driver.SetPower(t.Context(), hostapi.SetPowerRequest{Stamp: req.Stamp, Power: hostapi.PowerOff, Force: true})
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() error {
		_, err := h.tryLock(id)
		return err
	}).Should(Succeed())
}

func TestAStartThatIsGivenUpLeavesNothingRunning(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	h.stage()
	programs, path := t.TempDir(), os.Getenv("PATH")
	begun := filepath.Join(programs, "begun")
	g.Expect(os.WriteFile(filepath.Join(programs, "resize2fs"), []byte("#!/bin/sh\n: >"+begun+"\nexec sleep 600\n"), 0o700)).To(Succeed())
	t.Setenv("PATH", programs+":"+path)

	ctx, giveUp := context.WithTimeout(t.Context(), time.Minute)
	defer giveUp()
	ended := make(chan error, 1)
	go func() {
		_, err := h.driver.EnsureVM(ctx, h.request(1))
		ended <- err
	}()
	g.Eventually(begun).WithTimeout(30 * time.Second).Should(BeARegularFile())
	giveUp()
	var err error
	g.Eventually(ended).WithTimeout(30 * time.Second).Should(Receive(&err))
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Transient), "%v", err)
	id := h.request(1).Stamp.ID
	g.Expect(h.power(string(id))).To(Equal("off"))
	lock, err := h.tryLock(id)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(lock.Close()).To(Succeed())

	t.Setenv("PATH", path)
	_, err = h.driver.EnsureVM(t.Context(), h.request(1))
	g.Expect(err).NotTo(HaveOccurred())
	h.AwaitGuest(id)
}
