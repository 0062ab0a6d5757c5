package loadbalancer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// rollOut works out the next step where nothing is to be replaced for its own sake. VMs
// that an earlier spec made, or whose host is drained, give way one at a time: another one is made first, and is
// waited for until it has its share; then one goes, the active one last. held tells
// that nothing new is tried, because a newcomer has failed.
func rollOut(all []candidate, wanted int, held bool) step {
	old, fresh, calm, served, heard := 0, 0, true, true, true
	spare, stays := 0, 0
	for i := range all {
		c := &all[i]
		switch {
		case !c.vm.DeletionTimestamp.IsZero() || c.rising || c.isDead():
			calm = false
		case !c.answers:
			heard = false
		}
		switch {
		case !c.vm.DeletionTimestamp.IsZero():
		case c.givesWay():
			old++
		case c.isOutdated():
			stays++
		default:
			fresh++
			served = served && c.serves
		}
		if c.isDead() && c.mayLive {
			// The one that shall take its place is not too many.
			spare = 1
		}
	}
	if old+stays > 0 && fresh > 0 {
		spare = 1
	}
	st := step{missing: max(wanted-len(all), 0), surplus: max(len(all)-wanted-spare, 0)}
	if leaver := resigning(all); leaver != nil {
		// Its successor may be gone again. As long as it is there, none is too many: those
		// who can take the VIP are among the others.
		st.missing, st.surplus = max(wanted-(len(all)-1), 0), 0
		if st.missing == 0 && calm && leaver.released && standsIn(all, leaver) {
			st.rolled = leaver
		}
		return st
	}
	if old == 0 || !calm || !served || held {
		return st
	}
	switch next := nextToRoll(all); {
	case len(all) == wanted && heard:
		// Whom nobody hears could not be told of a newcomer, which would wait for that.
		st.missing, st.successorOf = 1, next.vm.Name
	case len(all) == wanted+1 && fresh > 0:
		st.rolled = next
	}
	return st
}

// resigning returns the VM that is handing the VIP over, or nil.
func resigning(all []candidate) *candidate {
	for i := range all {
		if c := &all[i]; c.resigns && c.vm.DeletionTimestamp.IsZero() {
			return c
		}
	}
	return nil
}

// standsIn tells whether another VM holds the VIP in the place of one that has handed it
// over, or can take it from one that does not.
func standsIn(all []candidate, leaver *candidate) bool {
	return slices.ContainsFunc(all, func(c candidate) bool {
		return c.vm.UID != leaver.vm.UID && c.serves && !c.resigns && (c.role == roleActive || leaver.role == roleActive)
	})
}

// nextToRoll is the VM that gives way next, or nil.
func nextToRoll(all []candidate) *candidate {
	for _, c := range expendable(all) {
		if c.vm.DeletionTimestamp.IsZero() && c.givesWay() {
			return c
		}
	}
	return nil
}

// failedNewcomer returns a VM that is as the spec says and has never come up, or answers
// and does not serve, while those of an earlier spec are there, or nil. It stays, so that somebody can look at it, and so
// that what fails once is not tried for ever: the others stay, too, until the spec
// changes or somebody deletes it. Only one is kept like that.
func failedNewcomer(all []candidate) *candidate {
	var failed *candidate
	rolling := false
	for i := range all {
		c := &all[i]
		switch {
		case !c.vm.DeletionTimestamp.IsZero():
		case c.isOutdated():
			rolling = true
		case c.isDead() && (!c.carried || c.unfit) && (failed == nil || c.vm.CreationTimestamp.Before(&failed.vm.CreationTimestamp)):
			failed = c
		}
	}
	if !rolling {
		return nil
	}
	return failed
}

// giveUpOutdated has a VM replaced at once that is to give way and has never had a plan:
// nobody depends on it, and what is to change may be why.
func (c *candidate) giveUpOutdated() {
	if !c.givesWay() || c.carried || c.isDead() || !c.vm.DeletionTimestamp.IsZero() {
		return
	}
	c.rising = false
	c.verdict = verdict{reason: capstanv1.ReasonNotRolledOut, message: c.whyOutdated() + " before it came up"}
}

// roll lets a VM go in whose place another one stands. One that holds the VIP hands it
// over first.
func (r *Reconciler) roll(ctx context.Context, s *scope, c *candidate) error {
	why := c.whyOutdated()
	if c.resigns {
		why = c.vm.Annotations[capstanv1.ReplacedAnnotation]
	} else if c.role == roleActive {
		return r.annotate(ctx, c.vm, why)
	}
	if err := r.giveUp(ctx, c.vm, why); err != nil {
		return err
	}
	if r.Events != nil {
		r.Events.Eventf(s.lb, c.vm, corev1.EventTypeNormal, capstanv1.ReasonNotRolledOut, "RollOut", "VirtualMachine %s goes: %s, and another one has its share", c.vm.Name, why)
	}
	return nil
}

// progress says in one line how far a roll-out is; stopped tells that it goes no further
// by itself, and done that there is none.
func progress(all []candidate, wanted int) (line string, stopped, done bool) {
	var old []string
	ready, waits := 0, ""
	for i := range all {
		c := &all[i]
		switch {
		case c.stuck:
		case !c.vm.DeletionTimestamp.IsZero():
			waits = "waiting for " + c.vm.Name + " to go"
		case c.isOutdated():
			old = append(old, fmt.Sprintf("%s (%s)", c.vm.Name, c.whyOutdated()))
			switch {
			case waits != "":
			case c.drainHeld != "":
				waits = c.drainHeld
			case c.resigns:
				waits = "waiting for " + c.vm.Name + " to hand the VIP over"
			case !c.answers:
				waits = "waiting for " + c.vm.Name + " to answer or to be replaced"
			}
		case c.serves:
			ready++
		case waits == "":
			waits = "waiting for " + c.vm.Name + " to take its share"
		}
	}
	if kept := slices.IndexFunc(all, func(c candidate) bool { return !c.keptUntil.IsZero() }); kept >= 0 {
		return all[kept].whyKept(), true, false
	}
	if len(old) == 0 {
		return "", false, true
	}
	slices.Sort(old)
	line = fmt.Sprintf("%d of %d virtual machines are as the spec says", min(ready, wanted), wanted)
	if failed := failedNewcomer(all); failed != nil {
		return fmt.Sprintf("%s: %s is not, %s; the others stay as they are until the spec changes or somebody deletes %s",
			line, failed.vm.Name, failed.message, failed.vm.Name), true, false
	}
	if waits != "" {
		line += "; " + waits
	}
	return line + "; still to be replaced: " + strings.Join(old, ", "), false, false
}
