package loadbalancer

import (
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// Timeouts are how long a VM may be of no use before another one is made for it.
type Timeouts struct {
	// Boot is how long the agent of a new VM may take from when its host was given
	// it, or from when its image was there.
	Boot time.Duration
	// Silence is how long an agent that was known may not answer.
	Silence time.Duration
}

// Defaults of Timeouts. A failover cluster may take four minutes and a boot to
// bring a VM back by itself: replacing it sooner would make work and mend nothing.
const (
	DefaultBootTimeout    = 10 * time.Minute
	DefaultSilenceTimeout = 6 * time.Minute
)

func (t Timeouts) withDefaults() Timeouts {
	if t.Boot <= 0 {
		t.Boot = DefaultBootTimeout
	}
	if t.Silence <= 0 {
		t.Silence = DefaultSilenceTimeout
	}
	return t
}

// evidence is what a VM is judged by.
type evidence struct {
	vm *capstanv1.VirtualMachine
	// carried tells that it has had a plan, and may hold the VIP.
	carried bool
	// answers tells that the agent answers, which proves that the VM lives.
	answers bool
	// unfitness is since when it answers and is of no use, and unfit says what is wrong
	// with it.
	unfitness
	unfit string
	// silentSince is since when nothing is known of the agent.
	silentSince time.Time
	// trouble is why the agent could not be asked last.
	trouble error
	// lost tells that every host that could have the VM is declared lost, and loss what
	// speaks for that where nobody has declared it.
	lost bool
	loss loss
}

// verdict is whether a VM must be replaced.
type verdict struct {
	// reason and message say why it must, or will have to.
	reason, message string
	// mayLive tells that the VM may still carry the VIP: it goes last.
	mayLive bool
	// until is when the VM will have to be replaced if nothing changes; zero if it
	// must be now, or if it is well or nobody can tell.
	until time.Time
	// stays tells that it is not replaced, though something is wrong: nothing shows that
	// another VM would fare better.
	stays bool
}

func (v verdict) isDead() bool { return v.reason != "" && v.until.IsZero() && !v.stays }

// speaksForItself tells that the verdict says more than what the agent, or its silence,
// says.
func (v verdict) speaksForItself() bool {
	return v.reason == capstanv1.ReasonAgentUnfit || v.reason == capstanv1.ReasonHostLost || v.reason == capstanv1.ReasonRepairHeld
}

// hopeless are what a host says of a VM that was up before and whose guest does
// not answer now. Whatever else it says, it is at work, or cannot tell.
var hopeless = []string{
	capstanv1.ReasonReady, capstanv1.ReasonPoweredOff, capstanv1.ReasonStarting, capstanv1.ReasonWaitingForGuest,
	capstanv1.ReasonVMFailed, capstanv1.ReasonOutOfCapacity, capstanv1.ReasonVolumeFault,
}

// harmless are what keeps a new VM from coming up and would keep another one, or
// what a host is at work on.
var harmless = []string{
	capstanv1.ReasonStagingImage, capstanv1.ReasonCreating, capstanv1.ReasonPaused, capstanv1.ReasonHostLost,
	capstanv1.ReasonWaitingForBootstrapData, capstanv1.ReasonWaitingForAddress, capstanv1.ReasonLogicalNetworkNotFound,
	capstanv1.ReasonNetworkFull, capstanv1.ReasonImageNotFound, capstanv1.ReasonInvalidSpec, capstanv1.ReasonInvalidArgument,
}

// judge says whether a VM must be replaced. Nothing is concluded from a host's
// silence, and an agent that answers and serves is never given up, whatever is said of
// its VM.
func judge(e evidence, limits Timeouts, now time.Time) verdict {
	vm := e.vm
	ready := conditions.Get(vm, capstanv1.ReadyCondition)
	switch {
	case !vm.DeletionTimestamp.IsZero():
		return verdict{}
	case e.answers:
		return judgeUnfit(e, limits, now)
	case e.lost:
		return verdict{reason: capstanv1.ReasonHostLost, message: fmt.Sprintf("host %s, which has it, is declared lost", hostOf(vm))}
	case e.loss.isPossible():
		return judgeLoss(e, now)
	case errors.Is(e.trouble, errTokenLost):
		return verdict{reason: capstanv1.ReasonEnrolmentLost, message: errTokenLost.Error(), mayLive: e.carried}
	case ready == nil || ready.Status == metav1.ConditionUnknown:
		return verdict{}
	case vm.Spec.RetireSeed && ready.Reason == capstanv1.ReasonVMNotFound:
		return verdict{reason: ready.Reason, message: fmt.Sprintf("host %s has it no more", hostOf(vm))}
	case e.carried && slices.Contains(hopeless, ready.Reason):
		return judgeSilence(e, ready, limits.Silence, now)
	case !e.carried && vm.Spec.Placement != nil && !slices.Contains(harmless, ready.Reason):
		return judgeBoot(e, ready, limits.Boot, now)
	}
	return verdict{}
}

// judgeSilence is for a VM that was up. Its guest may still hold the VIP, even if
// its host says that it is off: that may have changed since.
func judgeSilence(e evidence, ready *metav1.Condition, limit time.Duration, now time.Time) verdict {
	if e.silentSince.IsZero() {
		return verdict{}
	}
	v := verdict{reason: ready.Reason, mayLive: true, message: fmt.Sprintf("its agent is silent and its host says: %s", ready.Message)}
	if ready.Status == metav1.ConditionTrue {
		v.reason = capstanv1.ReasonAgentSilent
	}
	return v.after(e.silentSince.Add(limit), now)
}

// judgeUnfit is for a VM whose agent answers. It may hold the VIP, whatever it says. One
// that has served stays where the plan may be at fault: it carries an earlier plan, or
// may again, and a new one would carry nothing.
func judgeUnfit(e evidence, limits Timeouts, now time.Time) verdict {
	if e.since.IsZero() {
		return verdict{}
	}
	v := verdict{reason: capstanv1.ReasonAgentUnfit, mayLive: true}
	v.message = fmt.Sprintf("its agent answers, and does not serve since %s: %s", conditions.ClockTime(e.since), e.unfit)
	if !e.blamed && e.served {
		v.stays = true
		return v
	}
	limit := limits.Silence
	if !e.carried || !e.served {
		limit = limits.Boot
	}
	return v.after(e.since.Add(limit), now)
}

// judgeBoot is for a VM that has never been up.
func judgeBoot(e evidence, ready *metav1.Condition, limit time.Duration, now time.Time) verdict {
	var since time.Time
	for _, done := range []string{capstanv1.PlacedCondition, capstanv1.ImageStagedCondition} {
		if c := conditions.Get(e.vm, done); c != nil && c.Status == metav1.ConditionTrue && c.LastTransitionTime.After(since) {
			since = c.LastTransitionTime.Time
		}
	}
	if since.IsZero() {
		since = e.vm.CreationTimestamp.Time
	}
	v := verdict{reason: ready.Reason, message: "it has never come up: " + ready.Message}
	if ready.Status == metav1.ConditionTrue {
		v.reason = capstanv1.ReasonBootTimeout
		if e.trouble != nil {
			v.message = "it has never come up: " + tellTrouble(e.vm, e.trouble)
		}
	}
	return v.after(since.Add(limit), now)
}

func (v verdict) after(due, now time.Time) verdict {
	if due.After(now) {
		v.until = due
	}
	return v
}
