package lb

import (
	"math/rand/v2"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
)

// often is how often a suite looks.
const often = 50 * time.Millisecond

// agree is how long two VMs may take to agree again on who holds the VIP once they
// can hear each other.
const agree = 5 * time.Second

// leave is how long a VM that hears nobody may hold a VIP.
const leave = 10 * time.Second

// oneHolds waits until exactly one VM holds the VIP and all are well, and wants that
// to last.
func (w *world) oneHolds(within time.Duration) *lblab.VM {
	w.t.Helper()
	holders := func() (int, error) {
		held, err := w.Holders(lblab.VIP)
		return len(held), err
	}
	began := time.Now()
	w.Eventually(holders).WithTimeout(within).WithPolling(often).Should(Equal(1))
	w.t.Logf("one holds the VIP after %s", time.Since(began).Round(time.Millisecond))
	w.Expect(w.Settle(w.ctx)).To(Succeed())
	w.Consistently(holders).WithTimeout(time.Second).WithPolling(often).Should(Equal(1))
	holder, _, err := w.Holder(w.ctx, lblab.VIP)
	w.Expect(err).NotTo(HaveOccurred())
	return holder
}

// answers waits until the VIP is answered.
func (w *world) answers() {
	w.t.Helper()
	w.Eventually(func() error { _, err := w.Try(w.ctx, target); return err }).Should(Succeed())
}

func TestAVMThatWasFrozenDoesNotShareTheVIPForLong(t *testing.T) {
	w := start(t, 2)
	frozen, others, err := w.Holder(w.ctx, lblab.VIP)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(frozen.Freeze()).To(Succeed())
	w.Eventually(others[0].Holds).WithArguments(lblab.VIP).WithPolling(often).Should(BeTrue())
	w.answers()
	w.Expect(frozen.Thaw()).To(Succeed())
	w.oneHolds(agree)
	w.answers()
}

func TestWhenFramesAreLostInOneDirection(t *testing.T) {
	for _, loss := range []struct {
		name       string
		lose, mend func(holder, other *lblab.VM) error
		// to is who holds the VIP alone for as long as that lasts.
		to string
		// long rows are for hack/lb.sh.
		long bool
	}{
		{
			"the holder is not heard: it hears nobody answer, and leaves the VIP to the other",
			func(holder, _ *lblab.VM) error { return holder.Mute(100) },
			func(holder, _ *lblab.VM) error { return holder.Unmute() }, "the other", false,
		},
		{
			"the holder does not hear: it leaves the VIP to the other",
			func(holder, _ *lblab.VM) error { return holder.Deafen(100) },
			func(holder, _ *lblab.VM) error { return holder.Undeafen() }, "the other", false,
		},
		{
			"the other does not hear: it does not keep the VIP that it may take",
			func(_, other *lblab.VM) error { return other.Deafen(100) },
			func(_, other *lblab.VM) error { return other.Undeafen() }, "the holder", true,
		},
		{
			"half of what the holder says is lost",
			func(holder, _ *lblab.VM) error { return holder.Mute(50) },
			func(holder, _ *lblab.VM) error { return holder.Unmute() }, "", true,
		},
	} {
		t.Run(loss.name, func(t *testing.T) {
			if loss.long && !*all {
				t.Skip("takes long: run with -all")
			}
			w := start(t, 2)
			holder, others, err := w.Holder(w.ctx, lblab.VIP)
			w.Expect(err).NotTo(HaveOccurred())
			began := time.Now()
			w.Expect(loss.lose(holder, others[0])).To(Succeed())
			if loss.to != "" {
				heir := map[string]*lblab.VM{"the holder": holder, "the other": others[0]}[loss.to]
				// For three seconds: the other may take the VIP first, or know before.
				w.Eventually(w.Holders).WithArguments(lblab.VIP).WithTimeout(leave).WithPolling(often).MustPassRepeatedly(60).Should(ConsistOf(heir))
				t.Logf("%s has held the VIP alone after %s", loss.to, time.Since(began).Round(time.Millisecond))
			}
			w.answers()
			w.Expect(loss.mend(holder, others[0])).To(Succeed())
			w.oneHolds(agree)
			w.answers()
		})
	}
}

// Whoever gives VIPs up because nobody is heard must not do so where there is nobody to
// take them, or nobody to be heard.
func TestTheLastVMThatIsThereKeepsTheVIP(t *testing.T) {
	w := start(t, 2)
	holder, others, err := w.Holder(w.ctx, lblab.VIP)
	w.Expect(err).NotTo(HaveOccurred())
	keeps := func() {
		w.t.Helper()
		w.Consistently(w.Holders).WithArguments(lblab.VIP).WithTimeout(leave / 2).WithPolling(often).Should(ConsistOf(holder))
		w.answers()
	}
	w.Expect(others[0].PowerOff()).To(Succeed())
	keeps()
	alone := w.Plan()
	alone.Peers = alone.Peers[:1]
	if holder != w.VMs[0] {
		alone.Peers = w.Plan().Peers[1:]
	}
	alone.Frontends[0].Backends = append(alone.Frontends[0].Backends, lblab.Dead())
	w.Expect(w.Apply(w.ctx, alone, holder)).To(Succeed())
	w.Expect(holder.Deafen(100)).To(Succeed())
	w.Consistently(w.Holders).WithArguments(lblab.VIP).WithTimeout(leave).WithPolling(often).Should(ConsistOf(holder))
	w.Expect(holder.Undeafen()).To(Succeed())
	keeps()
}

func TestVMsThatAreBootedTogetherComeUpWithoutAManager(t *testing.T) {
	w := start(t, 2)
	for _, vm := range w.VMs {
		w.Expect(vm.HangUp()).To(Succeed())
		w.Expect(vm.PowerOff()).To(Succeed())
	}
	w.Expect(w.Holders(lblab.VIP)).To(BeEmpty())
	for _, vm := range w.VMs {
		w.Expect(vm.PowerOn()).To(Succeed())
	}
	w.answers()
	for _, vm := range w.VMs {
		w.Expect(vm.Redial()).To(Succeed())
	}
	w.oneHolds(agree)
}

func TestPeersKnowEachOtherInWhateverOrderTheyAreRestarted(t *testing.T) {
	w := start(t, 3)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	rounds := 1
	if *all {
		rounds = 20
	}
	for range rounds {
		for _, number := range random.Perm(len(w.VMs)) {
			vm := w.VMs[number]
			switch random.IntN(3) {
			case 0:
				t.Logf("%s is booted", vm.Name)
				w.Expect(vm.PowerOff()).To(Succeed())
				w.Expect(vm.PowerOn()).To(Succeed())
			case 1:
				t.Logf("keepalived of %s dies", vm.Name)
				w.Expect(vm.Kill("keepalived")).To(Succeed())
			default:
				t.Logf("agent of %s dies", vm.Name)
				w.Expect(vm.Kill("capstan-lb")).To(Succeed())
			}
		}
		w.oneHolds(patience)
		for _, vm := range w.VMs {
			w.Expect(vm.Peers()).To(HaveLen(2), "of %s", vm.Name)
		}
	}
	w.answers()
}
