package hypervmachine

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/virtualmachine"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=machinedeployments;machinesets,verbs=get;list;watch
// +kubebuilder:rbac:groups=controlplane.cluster.x-k8s.io,resources=kubeadmcontrolplanes,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// replacement is how it stands with a machine that is to give way though nothing is
// wrong with it.
type replacement struct {
	// asked tells that Cluster API is at it.
	asked           bool
	reason, message string
}

// reconcileReplacement asks Cluster API to replace a machine that somebody wants to be
// replaced, when its turn comes, and takes that back where nobody wants it any more or
// others have come before it. What must be replaced because something is wrong with it goes
// first, and does not wait.
func (r *Reconciler) reconcileReplacement(ctx context.Context, s *scope) error {
	e, err := r.gather(ctx, s)
	if err != nil {
		return err
	}
	site := siteOf(e.hosts)
	why := site.wishFor(s.machine, s.vm)
	value, asked := s.machine.Annotations[clusterv1.RemediateMachineAnnotation]
	switch {
	case why == nil:
		return r.withdrawWish(ctx, s, "nobody wants it any more")
	case !s.machine.DeletionTimestamp.IsZero():
		s.replacement = &replacement{asked: true, reason: why.reason, message: why.message + "; " + tellGoing(s.machine)}
		return nil
	case asked && !isWish(value):
		s.replacement = &replacement{asked: true, reason: why.reason, message: why.message + "; " + tellAsked(s.machine)}
		return nil
	case !asked && e.hold == nil && s.repair != nil:
		return nil
	}
	h, err := r.hurdleFor(ctx, s, e, site, asked)
	if err != nil {
		return err
	}
	switch {
	case h == nil && asked:
		s.replacement = &replacement{asked: true, reason: why.reason, message: why.message + "; " + tellAsked(s.machine)}
		return nil
	case h == nil:
		if h, err = r.askInTurn(ctx, s, site, why); err != nil || h == nil {
			return err
		}
	case asked:
		if err := r.withdrawWish(ctx, s, h.message); err != nil {
			return err
		}
	}
	s.replacement = h.replacementFor(why)
	return nil
}

// hurdleFor says what keeps the machine from being replaced, as far as is known without
// asking anybody, or nil.
func (r *Reconciler) hurdleFor(ctx context.Context, s *scope, e *evidence, site *site, asked bool) (*hurdle, error) {
	switch {
	case e.hold != nil:
		return &hurdle{held: true, message: e.hold.String()}, nil
	case asked:
		return r.hurdleSince(ctx, s, site)
	}
	h, err := r.hurdleBefore(ctx, s, site)
	if err != nil || h != nil {
		return h, err
	}
	return r.hurdleOfRoom(ctx, s)
}

// hurdleSince says what has come up since Cluster API was asked for which it would not be
// asked any more, or nil. Of a pool it takes who it is asked for at once. Of a control
// plane it takes that one before any other, and if it must not, nobody: a member that has
// died meanwhile would wait for ever. What is taken back too late does no harm: a Machine
// that is going stays as it is, and without a majority Cluster API takes none.
func (r *Reconciler) hurdleSince(ctx context.Context, s *scope, site *site) (*hurdle, error) {
	if !util.IsControlPlaneMachine(s.machine) {
		return nil, nil
	}
	h, err := r.hurdleAmong(ctx, r.Client, s, site)
	if err != nil || h == nil {
		return nil, err
	}
	// The cache may be behind what was read past it when Cluster API was asked.
	return r.hurdleAmong(ctx, r.Live, s, site)
}

// replacementFor tells of a wish what it waits for.
func (h *hurdle) replacementFor(why *wish) *replacement {
	re := &replacement{reason: capstanv1.ReasonWaitingForTurn, message: why.message + "; " + h.message}
	switch {
	case h.forGood:
		re.reason = capstanv1.ReasonCannotReplace
	case h.noRoom:
		re.reason = capstanv1.ReasonWaitingForRoom
	case h.held:
		re.reason = capstanv1.ReasonRepairHeld
	}
	return re
}

// hurdleOfRoom is that no other machine would find a place. It is asked before the one
// there is goes, since Cluster API makes its successor afterwards.
func (r *Reconciler) hurdleOfRoom(ctx context.Context, s *scope) (*hurdle, error) {
	survey, err := virtualmachine.NewSurvey(ctx, r.Client, r.Placement)
	if err != nil {
		return nil, err
	}
	if why := survey.NoRoom(s.vm); why != "" {
		return &hurdle{noRoom: true, message: "another one would have no place: " + why}, nil
	}
	return nil, nil
}

// hurdleBefore says what keeps the machine from being replaced as far as the cache knows.
func (r *Reconciler) hurdleBefore(ctx context.Context, s *scope, site *site) (*hurdle, error) {
	watched, err := r.isWatched(ctx, s.machine)
	if err != nil {
		return nil, err
	}
	if !watched || isExcluded(s.machine) {
		return &hurdle{forGood: true, message: unwatched(s.machine, &cause{}).message}, nil
	}
	if ready := conditions.Get(s.vm, capstanv1.ReadyCondition); ready != nil && ready.Reason == capstanv1.ReasonMovedElsewhere {
		// Its deletion would wait for a person all the same.
		return &hurdle{forGood: true, message: ready.Message}, nil
	}
	return r.hurdleAmong(ctx, r.Client, s, site)
}

// askInTurn asks Cluster API, if what is read past the cache says that it is the machine's
// turn still. One machine after the other is asked for, so that two of a team never take
// the same turn.
func (r *Reconciler) askInTurn(ctx context.Context, s *scope, site *site, why *wish) (*hurdle, error) {
	r.asking.Lock()
	defer r.asking.Unlock()
	h, err := r.hurdleAmong(ctx, r.Live, s, site)
	if err != nil || h != nil {
		return h, err
	}
	ctrllog.FromContext(ctx).Info("Asking Cluster API to replace the machine", "cause", why.reason, "why", why.message)
	if err := r.annotate(ctx, s, func(all map[string]string) { all[clusterv1.RemediateMachineAnnotation] = why.reason }); err != nil {
		return nil, err
	}
	s.replacement = &replacement{asked: true, reason: why.reason, message: why.message + "; " + tellAsked(s.machine)}
	r.tell(s, corev1.EventTypeNormal)
	return nil, nil
}

// withdrawWish takes back what was asked for because somebody wanted it.
func (r *Reconciler) withdrawWish(ctx context.Context, s *scope, because string) error {
	value := s.machine.Annotations[clusterv1.RemediateMachineAnnotation]
	if !isWish(value) || !s.machine.DeletionTimestamp.IsZero() {
		return nil
	}
	ctrllog.FromContext(ctx).Info("Cluster API is asked no more to replace the machine", "cause", value, "because", because)
	return r.annotate(ctx, s, func(all map[string]string) { delete(all, clusterv1.RemediateMachineAnnotation) })
}

// tellHurdle tells of what keeps a machine from being replaced that somebody must know of,
// once the status says so: before, a conflict would have it told again.
func (r *Reconciler) tellHurdle(s *scope, was *metav1.Condition) {
	is := conditions.Get(s.infra, capstanv1.ReplacingCondition)
	if is == nil || is.Status != metav1.ConditionFalse || was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	if s.replacement != nil && slices.Contains([]string{capstanv1.ReasonCannotReplace, capstanv1.ReasonWaitingForRoom}, is.Reason) {
		r.tell(s, corev1.EventTypeWarning)
	}
}

// tell tells of a replacement on the Machine, which is where somebody asked for it.
func (r *Reconciler) tell(s *scope, eventType string) {
	if r.Events != nil {
		r.Events.Eventf(s.machine, s.infra, eventType, s.replacement.reason, "Replace", "%s", s.replacement.message)
	}
}

func tellAsked(machine *clusterv1.Machine) string {
	const asked = "Cluster API is asked to replace the machine"
	verdict := conditions.Get(machine, clusterv1.MachineOwnerRemediatedCondition)
	if verdict == nil || verdict.Status != metav1.ConditionFalse || verdict.Message == "" {
		return asked
	}
	return asked + ": " + verdict.Message
}

func tellGoing(machine *clusterv1.Machine) string {
	going := conditions.Get(machine, clusterv1.MachineDeletingCondition)
	if going == nil || going.Message == "" {
		return fmt.Sprintf("Machine %s is being deleted", machine.Name)
	}
	return fmt.Sprintf("Machine %s is being deleted: %s", machine.Name, going.Message)
}

// setReplacement tells how it stands with a replacement that somebody wants.
func setReplacement(s *scope) {
	switch re := s.replacement; {
	case re == nil:
		conditions.Remove(s.infra, capstanv1.ReplacingCondition)
	case re.asked:
		conditions.True(s.infra, capstanv1.ReplacingCondition, re.reason, "%s", re.message)
	default:
		conditions.False(s.infra, capstanv1.ReplacingCondition, re.reason, "%s", re.message)
	}
}
