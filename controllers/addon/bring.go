package addon

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addons"
)

// How soon an addon is looked at again that is not well yet: after a tenth of the time
// that it has taken, within these bounds. What somebody must change is tried again less
// often; the change itself, if it is of the spec or a ConfigMap, is heard of.
const (
	soonest = time.Second
	latest  = 15 * time.Second
	refused = 30 * time.Second
)

// bringAll applies the addons in their order, each when those before it let it.
func (r *Reconciler) bringAll(ctx context.Context, s *scope) error {
	held := ""
	s.midway = r.midway(s)
	for _, one := range s.steps {
		switch {
		case one.leaves:
		case s.site == nil && one.addon == nil && one.wasApplied():
			// It stays as it was told of: what is to be now was not read.
		case s.site == nil:
			one.keep(capstanv1.ReasonWaitingForControlPlane, s.absent)
		case one.addon == nil:
			// Why is told already.
		case held != "":
			one.keep(capstanv1.ReasonWaitingForAddons, "waiting for addon "+held)
		case s.turn.over():
			s.cut = true
			one.keep(capstanv1.ReasonProgressing, "comes after the addons before it")
		default:
			if err := r.bring(ctx, s, one); err != nil {
				return err
			}
		}
		if held == "" && !one.leaves && one.holdsNext() {
			held = one.name
		}
	}
	return nil
}

// midway returns the addon that was not applied whole for want of time.
func (r *Reconciler) midway(s *scope) string {
	for _, one := range s.steps {
		if one.addon == nil {
			continue
		}
		was := r.applied.of(client.ObjectKeyFromObject(s.wlc), s.made(), one.name).pass
		if was != nil && was.cut && was.revision == one.addon.Revision {
			return one.name
		}
	}
	return ""
}

// isDue tells whether an addon is to be applied. What was begun is brought to its end
// before anything is applied again that was applied already, or the last of many addons
// would never have their turn.
func (r *Reconciler) isDue(s *scope, one *step, was *applied, now time.Time) bool {
	return was.revision != one.addon.Revision || was.orphaned(one.name, s.claims) ||
		now.Sub(was.at) >= r.Resync && (s.midway == "" || s.midway == one.name)
}

// keep leaves it at what was found before if there is nothing to be done, or else waits.
func (s *step) keep(reason, message string) {
	if before := s.before(); s.wasWell() && before != nil {
		s.applied = true
		s.outcome = outcome{before.Status, before.Reason, before.Message}
		return
	}
	s.waits(reason, "%s", message)
}

func (s *step) before() *metav1.Condition {
	if s.known == nil {
		return nil
	}
	return meta.FindStatusCondition(s.known.Conditions, capstanv1.ReadyCondition)
}

// wasApplied tells whether any manifests were applied and found well before.
func (s *step) wasApplied() bool {
	return s.known != nil && s.known.Revision != "" && s.before() != nil
}

// holdsNext tells whether the next addon has to wait. One that was well once, and is not
// now, holds up nobody: a node may have failed.
func (s *step) holdsNext() bool {
	switch {
	case s.addon == nil:
		return true
	case s.addon.HoldsNext:
		return !s.ready() && !s.wasWell()
	default:
		return !s.applied && !s.wasWell()
	}
}

// bring applies one addon if that is due, and judges it.
func (r *Reconciler) bring(ctx context.Context, s *scope, one *step) error {
	key, now := client.ObjectKeyFromObject(s.wlc), r.Clock.Now()
	was := r.applied.of(key, s.made(), one.name)
	var health addons.Health
	var why string
	if r.isDue(s, one, &was, now) {
		begun := was.pass.next(one.addon.Revision, now, r.Resync)
		is, err := s.site.apply(ctx, one.addon, s.claims, begun, s.turn)
		if err != nil {
			begun.cut = isOutOfTime(err)
			if !begun.cut && !isNotYet(err) {
				// What failed may have failed because of what has happened to what is done.
				begun = nil
			}
			r.applied.set(key, s.made(), one.name, applied{pass: begun})
			return s.failed(ctx, one, err, now)
		}
		was, was.revision, was.at = is, one.addon.Revision, r.Clock.Now()
		health, why = worst(was.unwell)
	} else {
		var err error
		if was.unwell, health, why, err = s.site.judge(ctx, was.unwell, s.turn.half()); err != nil {
			return s.failed(ctx, one, err, now)
		}
	}
	r.applied.set(key, s.made(), one.name, was)
	one.applied = true
	s.lookAgain(was.at.Add(r.Resync).Sub(now))
	switch health {
	case addons.Well:
		one.outcome = outcome{metav1.ConditionTrue, capstanv1.ReasonReady, counted(len(one.addon.Objects)) + " applied and well"}
	case addons.Failed:
		one.waits(capstanv1.ReasonUnhealthy, "%s", why)
		s.lookAgain(refused)
	case addons.Coming:
		one.waits(capstanv1.ReasonWaitingForHealth, "waiting for %s", why)
		s.lookAgain(one.patience(now))
	}
	return nil
}

// failed tells of an error of one addon, which is no reason to leave the others. It
// returns the error if all would meet with it.
func (s *scope) failed(ctx context.Context, one *step, err error, now time.Time) error {
	reason := reasonOf(err)
	if isOutOfTime(err) {
		s.cut = true
		one.keep(reason, err.Error())
		return nil
	}
	one.waits(reason, "%s", err)
	switch reason {
	case capstanv1.ReasonInternalError:
		if ctx.Err() != nil || isLost(err) || apierrors.IsConflict(err) {
			return err
		}
		s.failures = append(s.failures, err)
	case capstanv1.ReasonWaitingForKind, capstanv1.ReasonWaitingForHealth:
		s.lookAgain(one.patience(now))
	default:
		s.lookAgain(refused)
	}
	return nil
}

// patience is how long an addon is left alone that is not well yet.
func (s *step) patience(now time.Time) time.Duration {
	before := s.before()
	if before == nil || before.Status == metav1.ConditionTrue {
		return soonest
	}
	return min(max(now.Sub(before.LastTransitionTime.Time)/10, soonest), latest)
}
