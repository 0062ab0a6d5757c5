package loadbalancer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/metrics"
)

// mostAvoided is how many hosts a VM avoids at most.
const mostAvoided = 8

// candidate is a VM that may have to be replaced.
type candidate struct {
	verdict

	vm *capstanv1.VirtualMachine
	// loss is what speaks for the VM being lost.
	loss loss
	// answers tells that its agent answers, carries that it says that it has a plan,
	// carried that it has ever had one.
	answers, carries, carried bool
	// role is what its agent says, or else what the status remembers: a manager that has
	// just started has heard nobody yet. So is planned, that it has a plan.
	role    string
	planned bool
	// rising tells that it is new and may be up at any moment.
	rising bool
	// unfit tells that it answers and has not served for long.
	unfit bool
	// silentSince is since when its agent does not answer, zero if nobody has asked.
	silentSince time.Time
	// stuck tells that it is being deleted and that nobody who could let it go answers.
	stuck bool
	// changed are the fields of the spec by which it was not made, and serves tells that
	// it has the newest plan, and holds the VIP or can take it.
	changed []string
	serves  bool
	// drained is the host that it is on, if that is being drained, and drainHeld why it stays
	// there all the same for now.
	drained, drainHeld string
	// isNew tells that it answers and has had no VIPs so far, rehearsed that it has the
	// newest plan all the same.
	isNew, rehearsed bool
	// resigns tells that it is to hand the VIP over before it goes, and released that it
	// has, or had the time for it.
	resigns, released bool
	// keptUntil is until when it has the VIP back that nobody took from it, or zero.
	keptUntil time.Time
}

// step is the next thing to do about the number of VMs.
type step struct {
	// missing is how many VMs are to be made, avoid where not, and successorOf the VM
	// whose place one of them takes, if it is known.
	missing     int
	avoid       []string
	successorOf string
	// rolled is the VM that goes because one that is as the spec says has its share.
	rolled *candidate
	// replaced is the VM that must go because something is wrong with it.
	replaced *candidate
	// surplus is how many VMs are too many.
	surplus int
}

func (st step) isNothing() bool {
	return st.missing == 0 && st.replaced == nil && st.rolled == nil && st.surplus == 0
}

// candidates judges all VMs.
func (r *Reconciler) candidates(s *scope) []candidate {
	now, limits := r.Clock.Now(), r.Timeouts.withDefaults()
	all := make([]candidate, len(s.vms))
	unfit := r.findUnfit(s, now)
	hold, _ := r.Outages.Look(s.hosts, now)
	for i := range s.vms {
		vm := &s.vms[i]
		agent := r.agents.of(client.ObjectKeyFromObject(s.lb), vm)
		e := evidence{vm: vm, lost: vm.IsOnLostHost(s.hosts), carried: hasCarried(s.lb, vm)}
		status := agent.observed()
		e.answers = status != nil
		e.silentSince, e.trouble = agent.silence()
		e.unfitness, e.unfit = unfit[i], whyUnfit(s.lb, status)
		e.loss = r.lossOf(s, i, hold)
		c := candidate{vm: vm, verdict: judge(e, limits, now), loss: e.loss, answers: e.answers, carried: e.carried, silentSince: e.silentSince}
		if was := instanceStatus(s.lb, vm.Name); was != nil {
			c.role, c.planned = was.Role, was.AppliedGeneration > 0
		}
		if status != nil {
			c.role, c.planned = roleOf(status), status.Generation > 0
			c.carries = c.planned
		}
		c.unfit = c.answers && c.isDead()
		c.stuck = isStuck(vm)
		c.changed = changedFor(s.lb, vm)
		if c.drained = drainedUnder(vm, s.hosts); c.drained != "" && hold != nil {
			c.drainHeld = hold.String()
			s.tryAgainIn(min(hold.Until.Sub(now), pollHold))
		}
		c.serves = c.carries && status.Generation == s.lb.Status.PlanGeneration && c.role != roleUnknown
		c.isNew = c.answers && (!c.carried && !c.carries || isWithoutVIPs(status) && !isResigning(vm))
		c.rehearsed = c.isNew && hasRehearsed(s.lb, status)
		c.rising = !c.carried && !c.answers && !c.isDead() && now.Sub(vm.CreationTimestamp.Time) < limits.Boot
		c.giveUpOutdated()
		c.resigns = isResigning(vm)
		all[i] = c
	}
	r.followHandovers(s, all)
	return all
}

// decide works out the next step. Of two VMs that are dead the second is left alone
// until the first is replaced, and one that may still carry the VIP until another
// one serves, or has rehearsed to. One that is stuck counts no more, or what is left would be one too
// few until its host is back: it stays a peer of the others, and as long as nobody can
// tell it of its successor that one is given no plan.
//
// What was made by an earlier spec is replaced only while nothing else is to be done.
func decide(present []candidate, wanted int) step {
	failed := failedNewcomer(present)
	all := slices.DeleteFunc(slices.Clone(present), func(c candidate) bool {
		return c.stuck || failed != nil && c.vm.UID == failed.vm.UID
	})
	c := choose(all)
	switch {
	case c == nil:
		return rollOut(all, wanted, failed != nil)
	case c.unfit:
		return relieve(all, c, wanted, failed != nil)
	}
	others := len(all) - 1
	st := step{missing: max(wanted-others, 0), avoid: c.avoid()}
	if !c.mayLive {
		st.replaced = c
		return st
	}
	isOther := func(has func(*candidate) bool) bool {
		return slices.ContainsFunc(all, func(o candidate) bool { return o.vm.UID != c.vm.UID && has(&o) })
	}
	standsIn := isOther(func(o *candidate) bool { return o.serves || o.rehearsed })
	carried := isOther(func(o *candidate) bool { return o.carries && !o.rehearsed })
	if standsIn && (others >= wanted || !carried) {
		st.missing, st.replaced = 0, c
	}
	return st
}

// relieve works out the next step about a VM that answers and does not serve. It goes
// when another one serves, and not before. If its successor does not serve either, all
// stay as they are, for more of them would tell nothing new, until the spec changes: then
// one is tried that is as the new spec says. held tells that it has been.
func relieve(all []candidate, c *candidate, wanted int, held bool) step {
	others, fresh, serves := len(all)-1, false, false
	for i := range all {
		if o := &all[i]; o.vm.UID != c.vm.UID {
			fresh = fresh || len(o.changed) == 0
			serves = serves || o.serves
		}
	}
	st := step{missing: max(wanted-others, 0), avoid: c.avoid()}
	switch {
	case serves && st.missing == 0:
		st.replaced = c
	case st.missing == 0 && len(c.changed) > 0 && !fresh && !held:
		// It makes room for one of the new spec.
		st.replaced = c
	}
	return st
}

// choose returns the VM to replace next, or nil: one that never was up before one
// that is gone, and one that may live last. It waits for whatever goes or comes.
func choose(all []candidate) *candidate {
	var best *candidate
	for i := range all {
		c := &all[i]
		switch {
		case !c.vm.DeletionTimestamp.IsZero(), c.rising:
			return nil
		case c.isDead() && (best == nil || c.urgency() < best.urgency()):
			best = c
		}
	}
	return best
}

func (c *candidate) urgency() int {
	switch {
	case c.mayLive:
		return 2
	case c.carried:
		return 1
	default:
		return 0
	}
}

// avoid are the hosts that did not do for the VM and those that it replaced.
func (c *candidate) avoid() []string {
	hosts := slices.Clone(c.vm.Spec.AvoidHosts)
	if host := hostOf(c.vm); host != "" && !slices.Contains(hosts, host) {
		hosts = append(hosts, host)
	}
	return hosts[max(len(hosts)-mostAvoided, 0):]
}

// replace gives a VM up that is of no use.
func (r *Reconciler) replace(ctx context.Context, s *scope, c *candidate) error {
	if err := r.giveUp(ctx, c.vm, c.message); err != nil {
		return err
	}
	metrics.Healed(c.reason)
	if r.Events != nil {
		r.Events.Eventf(s.lb, c.vm, corev1.EventTypeWarning, c.reason, "Replace", "VirtualMachine %s is replaced: %s", c.vm.Name, c.message)
	}
	return nil
}

// giveUp deletes a VM, and says why on it.
func (r *Reconciler) giveUp(ctx context.Context, vm *capstanv1.VirtualMachine, why string) error {
	if err := r.annotate(ctx, vm, why); err != nil {
		return err
	}
	return r.deleteVM(ctx, vm)
}

// annotate says on a VM why it is to go. The API server refuses to if somebody has said
// something new of the VM since it was judged.
func (r *Reconciler) annotate(ctx context.Context, vm *capstanv1.VirtualMachine, why string) error {
	before := vm.DeepCopy()
	if vm.Annotations == nil {
		vm.Annotations = map[string]string{}
	}
	vm.Annotations[capstanv1.ReplacedAnnotation] = why
	err := r.Client.Patch(ctx, vm, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(capstanv1.FieldOwner))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("giving VirtualMachine %s up: %w", vm.Name, err)
	}
	return nil
}

// expendable returns the VMs in the order in which they are given up: those that
// go anyway, the dead, those that carry nothing, the silent, the standbys, and the
// active one last. Of equals, the youngest goes first. Those that are stuck were not
// counted, and are not given up in the place of others.
func expendable(all []candidate) []*candidate {
	left := slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return c.stuck })
	slices.SortStableFunc(left, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.worth(), b.worth()), compareTrue(b.isOutdated(), a.isOutdated()), b.vm.CreationTimestamp.Compare(a.vm.CreationTimestamp.Time))
	})
	order := make([]*candidate, len(left))
	for i := range left {
		order[i] = &left[i]
	}
	return order
}

func compareTrue(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

func (c *candidate) worth() int {
	switch {
	case !c.vm.DeletionTimestamp.IsZero():
		return 0
	case c.isDead(), c.resigns:
		return 1
	case !c.planned:
		return 2
	case c.role == roleUnknown:
		return 3
	case c.role == roleStandby:
		return 4
	default:
		return 5
	}
}

// due is when the first VM will have to be replaced if nothing changes, from now,
// or 0.
func due(all []candidate, now time.Time) time.Duration {
	var first time.Duration
	for _, c := range all {
		if !c.until.IsZero() && (first == 0 || c.until.Sub(now) < first) {
			first = c.until.Sub(now)
		}
	}
	return first
}
