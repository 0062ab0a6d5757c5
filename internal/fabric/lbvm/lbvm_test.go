package lbvm_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/netlab"
)

// programs is where the fabric is, and the agent beside it.
var programs string

func TestMain(m *testing.M) { netlab.Main(suite{m}, build) }

// suite takes the programs away.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	defer os.RemoveAll(programs)
	return s.m.Run()
}

// build builds the programs anew: bin/ may be of another day.
func build() error {
	for _, program := range []string{"haproxy", "keepalived"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: hack/packages.sh lb installs it", err)
		}
	}
	var err error
	// The fabric has another /run than this laboratory.
	if programs, err = os.MkdirTemp("", "lbvm"); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"-race", "-o", filepath.Join(programs, "fabric"), "../../../hack/fabric"},
		{"-o", filepath.Join(programs, "capstan-lb"), "../../../cmd/capstan-lb"},
	} {
		if out, err := exec.Command("go", append([]string{"build"}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("go build %v: %w: %s", args, err, out)
		}
	}
	return nil
}

// takeover is how long a VIP may be away on a machine that is busy; it moves within
// 0.7 s.
const takeover = 10 * time.Second

func TestAVIPMovesByVRRPWhenTheHostOfItsHolderLosesItsPower(t *testing.T) {
	w := newWorld(t)
	w.start()
	a, b := w.boot("hv1", 1), w.boot("hv2", 2)
	w.plan(a, b)
	w.answers()
	holder, heir := w.holder(a, b)
	w.Expect(w.admin.HostDown(t.Context(), holder.host)).To(Succeed())
	fault := time.Now()
	w.answers()
	t.Logf("the VIP was away for %s", time.Since(fault).Round(time.Millisecond))
	w.Eventually(heir.role).Should(Equal(lbapi.RoleActive))
	w.Expect(holder.dial()).NotTo(Succeed(), "a VM whose host has no power answers")

	w.Expect(w.admin.HostUp(t.Context(), holder.host)).To(Succeed())
	w.switchOn(holder)
	w.Eventually(holder.role).Should(Equal(lbapi.RoleStandby), "it comes up with its last plan, and takes nothing back")
	w.answers()
}

func TestAVIPMovesWhenTheCableOfItsHoldersHostIsCut(t *testing.T) {
	w := newWorld(t)
	w.start()
	a, b := w.boot("hv1", 1), w.boot("hv2", 2)
	w.plan(a, b)
	w.answers()
	holder, heir := w.holder(a, b)
	w.Expect(w.admin.UnplugHost(t.Context(), holder.host, true)).To(Succeed())
	w.answers()
	w.Eventually(heir.role).Should(Equal(lbapi.RoleActive))
	w.Expect(holder.dial()).NotTo(Succeed(), "a VM that is cut off answers")
	w.Expect(w.running("haproxy")).NotTo(BeEmpty(), "it runs on")

	w.Expect(w.admin.UnplugHost(t.Context(), holder.host, false)).To(Succeed())
	w.Eventually(holder.dial).Should(Succeed())
	w.holder(a, b)
	w.answers()
}

func TestOtherGuestsHaveTheirAddressesWhileTheyAreOnAndHaveACable(t *testing.T) {
	w := newWorld(t)
	w.start()
	v := w.machine("hv1", 3, nil)
	w.switchOn(v)
	// Nobody listens there, and the machine says so.
	refuses := func() bool { return errors.Is(v.dial(), syscall.ECONNREFUSED) }
	silent := func() bool { return !refuses() }
	w.boot("hv2", 1)
	w.Eventually(refuses).Should(BeTrue())
	w.Expect(w.admin.UnplugHost(t.Context(), "hv1", true)).To(Succeed())
	w.Expect(silent()).To(BeTrue())
	w.Expect(w.admin.UnplugHost(t.Context(), "hv1", false)).To(Succeed())
	w.Expect(refuses()).To(BeTrue())
	w.Expect(w.admin.HostDown(t.Context(), "hv1")).To(Succeed())
	w.Expect(silent()).To(BeTrue())
}

func TestAServiceThatDiesIsStartedAgain(t *testing.T) {
	w := newWorld(t)
	w.start()
	a := w.boot("hv1", 1)
	w.plan(a)
	w.answers()
	for _, name := range []string{"haproxy", "keepalived", "capstan-lb"} {
		before := w.running(name)
		w.Expect(before).NotTo(BeEmpty(), name)
		for _, pid := range before {
			// A worker may have ended with its master.
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		w.Eventually(func() []int { return w.running(name) }).Should(And(Not(BeEmpty()), Not(ContainElements(before))), name)
		w.answers()
	}
}

func TestNothingIsLeftOfAFabricThatEndsAndTheNextOneGoesOn(t *testing.T) {
	w := newWorld(t)
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "interrupted": syscall.SIGINT, "asked to end": syscall.SIGTERM} {
		w.start()
		if w.vms == nil {
			w.plan(w.boot("hv1", 1), w.boot("hv2", 2))
		} else {
			// Hosts that form no failover cluster start nothing by themselves.
			w.switchOn(w.vms...)
		}
		w.answers()
		w.Expect(w.devices()).To(HaveLen(1), "what the VIP is reached by")

		w.Expect(w.fabric.Process.Signal(signal)).To(Succeed())
		<-w.ended
		w.Eventually(w.devices).Should(BeEmpty(), name)
		w.Eventually(w.routes).Should(BeEmpty(), name)
		for _, program := range []string{"fabric", "haproxy", "keepalived", "capstan-lb"} {
			w.Eventually(func() []int { return w.running(program) }).Should(BeEmpty(), "%s when the fabric is %s", program, name)
		}
	}
}
