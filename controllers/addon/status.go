package addon

import (
	"cmp"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// longestMessage is how much is told of one addon.
const longestMessage = 1024

// setStatus works out the status of all addons from what the reconcile knows.
func setStatus(s *scope, err error) {
	if s.planned {
		s.wlc.Status.Addons = nil
		for _, one := range s.steps {
			if is := one.status(s.wlc.Generation); is != nil {
				s.wlc.Status.Addons = append(s.wlc.Status.Addons, *is)
			}
		}
	}
	summarize(s.wlc)
	if err != nil {
		conditions.Failed(s.wlc, capstanv1.AddonsReadyCondition, reasonOf(err), err)
	}
}

// status returns what is told of an addon, or nil if nothing is left of it. What a round
// that failed did not come to stays as it was.
func (s *step) status(generation int64) *capstanv1.AddonStatus {
	is := &capstanv1.AddonStatus{Name: s.name}
	if s.known != nil {
		is = s.known.DeepCopy()
	}
	result := s.outcome
	switch before := s.before(); {
	case s.gone:
		return nil
	case result.status != "":
	case before != nil:
		return is
	default:
		result = outcome{metav1.ConditionUnknown, capstanv1.ReasonProgressing, "not looked at yet"}
	}
	if s.addon != nil {
		is.Objects = int32(len(s.addon.Objects))
		if s.ready() {
			is.Revision = s.addon.Revision
		}
	}
	meta.SetStatusCondition(&is.Conditions, metav1.Condition{
		Type: capstanv1.ReadyCondition, Status: result.status, Reason: result.reason,
		Message: truncate(result.message), ObservedGeneration: generation,
	})
	return is
}

// summarize tells of the first addon that is not ready.
func summarize(wlc *capstanv1.WorkloadCluster) {
	if len(wlc.Status.Addons) == 0 {
		conditions.Remove(wlc, capstanv1.AddonsReadyCondition)
		return
	}
	var waiting *metav1.Condition
	name, more := "", 0
	for i := range wlc.Status.Addons {
		is := meta.FindStatusCondition(wlc.Status.Addons[i].Conditions, capstanv1.ReadyCondition)
		switch {
		case is == nil || is.Status == metav1.ConditionTrue:
		case waiting == nil:
			waiting, name = is, wlc.Status.Addons[i].Name
		default:
			more++
		}
	}
	if waiting == nil {
		conditions.True(wlc, capstanv1.AddonsReadyCondition, capstanv1.ReasonReady, "%s applied and well", conditions.Counted(len(wlc.Status.Addons), "addon"))
		return
	}
	message := fmt.Sprintf("%s: %s, since %s", name, waiting.Message, waiting.LastTransitionTime.UTC().Format("2006-01-02T15:04:05Z"))
	if more > 0 {
		message += fmt.Sprintf("; %d more not ready", more)
	}
	conditions.False(wlc, capstanv1.AddonsReadyCondition, waiting.Reason, "%s", message)
}

// tell records an event for each addon that is in another way than it was told last. The
// action has its name: events that differ in nothing else are folded into one.
func (r *Reconciler) tell(before, after *capstanv1.WorkloadCluster) {
	was := map[string]*metav1.Condition{}
	for i := range before.Status.Addons {
		was[before.Status.Addons[i].Name] = meta.FindStatusCondition(before.Status.Addons[i].Conditions, capstanv1.ReadyCondition)
	}
	for i := range after.Status.Addons {
		name := after.Status.Addons[i].Name
		is := meta.FindStatusCondition(after.Status.Addons[i].Conditions, capstanv1.ReadyCondition)
		old := was[name]
		delete(was, name)
		if is == nil || old != nil && old.Status == is.Status && old.Reason == is.Reason {
			continue
		}
		eventType := corev1.EventTypeNormal
		if is.Status != metav1.ConditionTrue && conditions.IsFault(is.Reason) {
			eventType = corev1.EventTypeWarning
		}
		r.Events.Eventf(after, nil, eventType, is.Reason, "ApplyAddon."+name, "addon %s: %s", name, is.Message)
	}
	for i := range before.Status.Addons {
		if name := before.Status.Addons[i].Name; was[name] != nil {
			r.Events.Eventf(after, nil, corev1.EventTypeNormal, "Removed", "RemoveAddon."+name, "addon %s: nothing of it is left in the cluster", name)
		}
	}
}

func counted(objects int) string { return conditions.Counted(objects, "object") }

func truncate(message string) string {
	message = cmp.Or(message, "no more is known")
	if len(message) > longestMessage-100 {
		return strings.ToValidUTF8(message[:longestMessage-100], "") + "..."
	}
	return message
}
