package virtualmachine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// freshness is how old the word of other hosts may be, so that many who miss their VM ask
// together.
const freshness = 5 * time.Second

// longestAsking is longer than a census takes. What was asked before that was given up
// meanwhile, and what was said then is no answer to what is asked now.
const longestAsking = time.Minute

// misses remembers what hosts said that they do not have. Losing it costs a census.
type misses struct {
	mu sync.Mutex
	// since is when a VM was first missed, without a look at it in between.
	since map[client.ObjectKey]time.Time
	// asking is since when a census is wanted that somebody else takes.
	asking map[client.ObjectKey]time.Time
	// settled are VMs under deletion that need not be looked for elsewhere: they never were
	// whole, or it is known what became of them.
	settled map[client.ObjectKey]bool
}

// miss remembers that a VM is missed and returns since when.
func (m *misses) miss(vm client.ObjectKey, now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.since == nil {
		m.since = map[client.ObjectKey]time.Time{}
	}
	if _, ok := m.since[vm]; !ok {
		m.since[vm] = now
	}
	return m.since[vm]
}

func (m *misses) found(vm client.ObjectKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.since, vm)
	delete(m.asking, vm)
}

// ask returns how old the word of all hosts may be: as it was when they were first asked in
// vain, so that what somebody else asks meanwhile is not too old once all have answered.
func (m *misses) ask(vm client.ObjectKey, oldest time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.asking == nil {
		m.asking = map[client.ObjectKey]time.Time{}
	}
	if asked, ok := m.asking[vm]; !ok || oldest.Sub(asked) > longestAsking {
		m.asking[vm] = oldest
	}
	return m.asking[vm]
}

// stopAsking ends a question: it is answered, or the VM is not known to be missed any more.
func (m *misses) stopAsking(vm client.ObjectKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.asking, vm)
}

func (m *misses) settle(vm client.ObjectKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settled == nil {
		m.settled = map[client.ObjectKey]bool{}
	}
	m.settled[vm] = true
}

func (m *misses) isSettled(vm client.ObjectKey) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settled[vm]
}

func (m *misses) forget(vm client.ObjectKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.since, vm)
	delete(m.asking, vm)
	delete(m.settled, vm)
}

// isMissed tells whether a host has nothing of a VM that could run, and is not at work on it.
func isMissed(seen *hostapi.VM) bool {
	return seen == nil || census.IsRemnant(seen) && seen.Operation == nil
}

// wasWhole tells whether there has been a whole VM, which may have been moved by hand. One
// that is being made for the first time is not looked for: it is nowhere yet.
func wasWhole(s *scope) bool {
	return s.was == capstanv1.VMStarting || s.was == capstanv1.VMRunning || retired(s.vm) || s.vm.Status.SeenElsewhere != nil
}

// lookElsewhere is for a VM that its host, or all of its failover cluster, does not have any
// more. Somebody may have moved it by hand, with its identity and its stamp, to a host that
// does not speak for its place: if that were taken for its end, it would be made or replaced
// while it runs, and its address given to another. So all other hosts are asked, too. It
// returns nothing once each of them has said, after the VM was missed, that it does not have
// it either.
func (r *Reconciler) lookElsewhere(ctx context.Context, s *scope) (*wait, error) {
	key, now := client.ObjectKeyFromObject(s.vm), r.Clock.Now()
	since := r.misses.miss(key, now)
	oldest := since
	if fresh := now.Add(-freshness); fresh.After(oldest) {
		oldest = fresh
	}
	found, err := r.Census.Since(ctx, r.misses.ask(key, oldest))
	if err != nil {
		return nil, fmt.Errorf("asking all hosts for VM %s: %w", s.vm.Spec.ID, err)
	}
	if found == nil {
		// What was found the last time stands until something else is.
		s.stale = isJudged(s)
		return &wait{
			reason: capstanv1.ReasonHostUnreachable, requeue: pollWork, unknown: true,
			message: missed(s) + "; all other hosts are being asked for it",
		}, nil
	}
	r.misses.stopAsking(key)
	return r.judgeMissed(s, found, since), nil
}

// verdicts are what Ready says of a VM that its host does not have.
var verdicts = []string{capstanv1.ReasonVMNotFound, capstanv1.ReasonMovedElsewhere, capstanv1.ReasonHostUnreachable}

// isJudged tells whether the status says already what becomes of a VM that is missed.
func isJudged(s *scope) bool {
	if !s.vm.DeletionTimestamp.IsZero() && s.was != capstanv1.VMDeleting {
		return false
	}
	ready := conditions.Get(s.vm, capstanv1.ReadyCondition)
	return ready != nil && slices.Contains(verdicts, ready.Reason)
}

// judgeMissed says what all hosts together say of a VM that its own host does not have since
// a moment; or nothing if none has it. Where it was seen is recorded, as whoever had it may
// fall silent.
func (r *Reconciler) judgeMissed(s *scope, found *census.Census, since time.Time) *wait {
	id, place := hostapi.VMID(s.vm.Spec.ID), *s.vm.Spec.Placement
	if there := found.Elsewhere(id, place); there != nil {
		s.vm.Status.SeenElsewhere = &capstanv1.VMSighting{Host: there.Host.Name, FailoverCluster: there.Host.Status.FailoverCluster}
		return &wait{
			reason: capstanv1.ReasonMovedElsewhere, requeue: pollElsewhere, unknown: true,
			message: fmt.Sprintf("%s, and host %s has it (%s), which is none of its place: somebody has moved it. It is neither replaced nor deleted, and keeps its address: "+
				"move it back to host %s, with its disks where they were, or remove it on host %s and have its machine replaced",
				missed(s), there.Host.Name, there.VM.State, place.Host, there.Host.Name),
		}
	}
	forget(s.vm, found)
	if found.At(id, place) != nil {
		return &wait{
			reason: capstanv1.ReasonTransientError, requeue: pollWork, unknown: true,
			message: missed(s) + ", and lists it all the same",
		}
	}
	if seen := s.vm.Status.SeenElsewhere; seen != nil {
		seen.Back = false
	}
	awaited := found.Awaited(census.Missed{ID: id, At: place, Since: since, Seen: s.vm.Status.SeenElsewhere}, r.HostLossTimeout, r.Clock.Now())
	if len(awaited) == 0 {
		return nil
	}
	first := awaited[0]
	message := fmt.Sprintf("%s, and it cannot be told whether somebody has moved it to another one: %s", missed(s), first.Why)
	if more := len(awaited) - 1; more > 0 {
		message += fmt.Sprintf(" (and %d more places)", more)
	}
	message += "; waiting for its word"
	if len(first.Silent) > 0 {
		message += ", or for " + declareLost(first.Silent)
	}
	if !first.Until.IsZero() {
		message += ", until " + conditions.ClockTime(first.Until)
	}
	return &wait{reason: capstanv1.ReasonHostUnreachable, requeue: pollElsewhere, unknown: true, message: message}
}

// forget forgets where else the VM was seen once that place says that it does not have it.
func forget(vm *capstanv1.VirtualMachine, found *census.Census) {
	if seen := vm.Status.SeenElsewhere; seen != nil && found.Denies(hostapi.VMID(vm.Spec.ID), *seen) {
		vm.Status.SeenElsewhere = nil
	}
}

// lookBack asks where a VM was seen that is where it belongs again, until that place has
// said that it has none of the same identity, or nobody is left who could. A VM that is here
// does not suffer from what cannot be learnt of others, and nobody is asked in vain for it.
func (r *Reconciler) lookBack(ctx context.Context, s *scope) {
	seen := s.vm.Status.SeenElsewhere
	if seen == nil {
		return
	}
	if !slices.ContainsFunc(s.hosts, func(h capstanv1.HyperVHost) bool { return seen.MayBeOn(&h) }) {
		s.vm.Status.SeenElsewhere = nil
		return
	}
	if !slices.ContainsFunc(s.hosts, func(h capstanv1.HyperVHost) bool {
		return !h.Spec.Lost && connected(&h) && h.SpeaksFor(seen.FailoverCluster, seen.Host)
	}) {
		return
	}
	found, err := r.Census.Since(ctx, r.Clock.Now().Add(-freshness))
	if err != nil {
		ctrllog.FromContext(ctx).Error(err, "Hosts could not be asked for a copy of the VM", "host", seen.Host)
		return
	}
	if found != nil {
		forget(s.vm, found)
	}
}

// noteBack records that a VM that was seen elsewhere is found where it belongs: what is left
// elsewhere may be a copy, and the VM itself is here.
func noteBack(s *scope) {
	if seen := s.vm.Status.SeenElsewhere; seen != nil && s.seen != nil && !census.IsRemnant(s.seen) {
		seen.Back = true
	}
}

// isSeenElsewhere tells whether there is a HyperVHost of the place where the VM was seen
// elsewhere, be it declared lost.
func isSeenElsewhere(s *scope) bool {
	seen := s.vm.Status.SeenElsewhere
	return seen != nil && slices.ContainsFunc(s.hosts, func(h capstanv1.HyperVHost) bool { return h.SpeaksFor(seen.FailoverCluster, seen.Host) })
}

// missed says who does not have the VM.
func missed(s *scope) string {
	return fmt.Sprintf("host %s does not have VM %s any more", s.at.Name, s.vm.Spec.ID)
}

// declareLost is what an administrator can do about hosts that do not answer.
func declareLost(hosts []string) string {
	if len(hosts) == 1 {
		return fmt.Sprintf("spec.lost: true on HyperVHost %s if it is gone for good", hosts[0])
	}
	return fmt.Sprintf("spec.lost: true on each of the HyperVHosts %s if they are gone for good", strings.Join(hosts, ", "))
}
