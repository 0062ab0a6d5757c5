package virtualmachine

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/console"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const (
	// slowGuest is how long a guest may take to its address, and again to what it is
	// for, before somebody may want to know what it does.
	slowGuest = 3 * time.Minute
	// readAgain is how long what was told of a console stands, unless the state of the
	// first configuration changes: a console has a new line every moment.
	readAgain = 5 * time.Minute
	// maxStage is the longest name that the status has room for.
	maxStage = 32
)

// reportGuest tells what the guest's console says, as long as that is of use.
func (r *Reconciler) reportGuest(ctx context.Context, s *scope) {
	switch {
	case s.stale:
	case s.vm.Spec.RetireSeed, s.phase != capstanv1.VMStarting && s.phase != capstanv1.VMRunning:
		s.vm.Status.Guest = nil
	case s.seen == nil || s.seen.State != hostapi.StateRunning || s.err != nil:
		// What was told last stands.
	case r.isNews(s.vm, s.seen.Init):
		s.vm.Status.Guest = r.readGuest(ctx, s)
		r.guests.read(s.vm.UID, r.Clock.Now())
	}
	if s.wait != nil && s.wait.reason == capstanv1.ReasonWaitingForGuest && hasFailed(s.vm.Status.Guest) {
		s.wait.reason = capstanv1.ReasonBootstrapFailed
	}
}

func hasFailed(guest *capstanv1.GuestReport) bool {
	return guest != nil && guest.Initialization == capstanv1.GuestInitializationFailed
}

// isNews tells whether there is something to tell that was not told yet, or long ago.
func (r *Reconciler) isNews(vm *capstanv1.VirtualMachine, init hostapi.GuestInit) bool {
	told := vm.Status.Guest
	switch {
	case told == nil:
		return init.State == hostapi.InitFailed || r.takes(vm) >= slowGuest
	case told.Initialization != initialization(init), told.Stage != stage(init):
		return true
	}
	now := r.Clock.Now()
	return now.Sub(told.ObservedTime.Time) >= readAgain && !r.guests.isFresh(vm.UID, now)
}

// readings remember when guests were read whose lines were as before, which the
// status does not tell: it is not written for that. They are of the last moments only,
// so VMs that are gone need nobody to forget them.
type readings struct {
	mu   sync.Mutex
	last map[types.UID]time.Time
}

// read notes that a guest was read, and forgets what is of no use any more.
func (r *readings) read(vm types.UID, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = map[types.UID]time.Time{}
	}
	maps.DeleteFunc(r.last, func(_ types.UID, at time.Time) bool { return now.Sub(at) >= readAgain })
	r.last[vm] = now
}

func (r *readings) isFresh(vm types.UID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.last[vm]
	return known && now.Sub(at) < readAgain
}

// takes is how long the VM has been as it is: starting, or running.
func (r *Reconciler) takes(vm *capstanv1.VirtualMachine) time.Duration {
	c := conditions.Get(vm, capstanv1.RunningCondition)
	if c == nil {
		return 0
	}
	return r.Clock.Since(c.LastTransitionTime.Time)
}

// readGuest is what is told now. What stood before stays, time and all, if it is the
// same: else a guest that hangs would be written again and again.
func (r *Reconciler) readGuest(ctx context.Context, s *scope) *capstanv1.GuestReport {
	init := s.seen.Init
	report := &capstanv1.GuestReport{
		Initialization: initialization(init), Stage: stage(init),
		Console: r.legible(ctx, s), ObservedTime: metav1.NewTime(r.Clock.Now().Truncate(time.Second)),
	}
	if told := s.vm.Status.Guest; told != nil && told.Initialization == report.Initialization && told.Stage == report.Stage &&
		slices.Equal(told.Console, report.Console) {
		return told
	}
	return report
}

// initialization and stage are empty where an agent of a later version knows more.
func initialization(init hostapi.GuestInit) capstanv1.GuestInitialization {
	switch init.State {
	case hostapi.InitRunning, hostapi.InitDone, hostapi.InitFailed:
		return capstanv1.GuestInitialization(init.State)
	case hostapi.InitUnknown:
	}
	return ""
}

func stage(init hostapi.GuestInit) string {
	if len(init.Stage) > maxStage {
		return ""
	}
	return init.Stage
}

// legible are the lines without what is secret in the seed. Where that is not known
// there are none.
func (r *Reconciler) legible(ctx context.Context, s *scope) []string {
	if len(s.seen.Console) == 0 {
		return nil
	}
	data, waiting, err := r.bootstrapData(ctx, s)
	if waiting != nil || err != nil {
		ctrllog.FromContext(ctx).Info("lines of the guest's console are kept back: what is secret in its seed is not known", "host", s.at.Name, "error", err)
		return nil
	}
	texts := [][]byte{data[bootstrapKey]}
	if p := s.vm.Spec.GuestSettings.Proxy; p != nil {
		texts = append(texts, []byte(p.HTTPProxy+"\n"+p.HTTPSProxy))
	}
	return console.Withhold(s.seen.Console, console.SecretsOf(texts...))
}

// joinPoll is how often a guest is looked at that runs and is not yet what it shall
// be. It grows with how long that has taken.
func (r *Reconciler) joinPoll(vm *capstanv1.VirtualMachine) time.Duration {
	return min(max(r.takes(vm)/pollsPerWait, pollSlow), pollRunning)
}
