package agent_test

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// changes are all calls that change a VM.
var changes = map[string]func(ctx context.Context, a *agent.Agent, s hostapi.Stamp) error{
	"EnsureVM": func(ctx context.Context, a *agent.Agent, s hostapi.Stamp) error {
		req := wanted("vm-1")
		req.Stamp = s
		_, err := a.EnsureVM(ctx, req)
		return err
	},
	"SetPower": func(ctx context.Context, a *agent.Agent, s hostapi.Stamp) error {
		_, err := a.SetPower(ctx, hostapi.SetPowerRequest{Stamp: s, Power: hostapi.PowerOff})
		return err
	},
	"DeleteVM": func(ctx context.Context, a *agent.Agent, s hostapi.Stamp) error {
		return a.DeleteVM(ctx, hostapi.DeleteVMRequest{Stamp: s})
	},
}

func TestAVMOfSomebodyElseIsNotTouched(t *testing.T) {
	for op, change := range changes {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			w.driver.Put(hostapi.VM{Stamp: hostapi.Stamp{Installation: "elsewhere", ID: "vm-1"}, State: hostapi.StateRunning})
			w.Expect(hostapi.ClassOf(change(t.Context(), w.agent, stamp("vm-1")))).To(Equal(hostapi.NotOwned))
			w.Expect(w.ops()).To(BeEmpty())
		})
	}
}

func TestAVMThatCannotBeSeenIsNotTouched(t *testing.T) {
	for op, change := range changes {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			w.driver.Put(hostapi.VM{Stamp: stamp("vm-1"), State: hostapi.StateRunning})
			w.driver.FailNext("GetVM", hostapi.Errorf(hostapi.HostUnreachable, "GetVM", "", "the failover cluster does not answer"))
			w.Expect(hostapi.ClassOf(change(t.Context(), w.agent, stamp("vm-1")))).To(Equal(hostapi.HostUnreachable))
			w.Expect(w.ops()).To(BeEmpty())
		})
	}
}

func TestAStampThatNamesNothingIsInvalid(t *testing.T) {
	for name, s := range map[string]hostapi.Stamp{
		"no installation":        {ID: "vm-1"},
		"no ID":                  {Installation: "here"},
		"a path for an ID":       {Installation: "here", ID: "../../etc/passwd"},
		"capitals, for Windows":  {Installation: "here", ID: "VM-1"},
		"longer than file names": {Installation: "here", ID: "0123456789012345678901234567890123456789012345678901234567890123456789"},
	} {
		for op, change := range changes {
			t.Run(name+" to "+op, func(t *testing.T) {
				w := newWorld(t)
				w.Expect(hostapi.ClassOf(change(t.Context(), w.agent, s))).To(Equal(hostapi.InvalidArgument))
			})
		}
	}
}

func TestRequestsThatContradictThemselvesAreInvalid(t *testing.T) {
	w := newWorld(t)
	both := wanted("vm-1")
	both.Seed, both.KeepSeed = []byte("seed"), true
	_, err := w.agent.EnsureVM(t.Context(), both)
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.InvalidArgument))

	powerless := wanted("vm-1")
	powerless.Power = ""
	_, err = w.agent.EnsureVM(t.Context(), powerless)
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.InvalidArgument))

	_, err = w.agent.StageImage(t.Context(), hostapi.StageImageRequest{Image: hostapi.ImageRef{Name: "linux", SHA256: "../x"}})
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.InvalidArgument))
}

func TestOnlyTheDriverSaysThatNothingIsLeft(t *testing.T) {
	w := newWorld(t)
	err := w.agent.DeleteVM(t.Context(), hostapi.DeleteVMRequest{Stamp: stamp("vm-1")})
	w.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.NotFound))
	w.Expect(w.ops()).To(Equal([]string{"DeleteVM"}))
}
