package orphan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/metrics"
)

// Reasons of events.
const (
	eventFound   = "OrphanFound"
	eventFrozen  = "OrphansFrozen"
	eventRemoved = "OrphanRemoved"
	eventStrayed = "VMElsewhere"
)

// report writes what was found to the statuses of all hosts, and returns those reports
// that stand there now. A status that somebody else wrote meanwhile waits for the next
// sweep.
func (r *Reconciler) report(ctx context.Context, s *sweep) (written []*report, err error) {
	for _, report := range s.reports {
		before := report.host.DeepCopy()
		setStatus(report)
		switch failure := r.writer.Write(ctx, before, report.host); {
		case failure == nil:
			r.tell(ctx, before, report)
			written = append(written, report)
		case !apierrors.IsConflict(failure):
			err = errors.Join(err, failure)
		}
	}
	return written, err
}

// setStatus works out what the status of a host says of orphans. What was found last
// stays where the place could not be asked now.
func setStatus(r *report) {
	if reason, why := r.place.Unsettled(); reason != "" {
		conditions.Unknown(r.host, capstanv1.FreeOfOrphansCondition, reason, "%s is not swept: %s", r.place.Name, why)
		return
	}
	r.host.Status.Orphans = nil
	states := map[capstanv1.OrphanState]int{}
	for _, orphan := range r.orphans {
		states[orphan.entry.State]++
		r.host.Status.Orphans = append(r.host.Status.Orphans, orphan.entry)
	}
	set := conditions.False
	reason := capstanv1.ReasonOrphansFound
	switch {
	case len(r.orphans) == 0:
		set, reason = conditions.True, capstanv1.ReasonNoOrphans
	case states[capstanv1.OrphanFrozen] > 0:
		reason = capstanv1.ReasonOrphansFrozen
	case states[capstanv1.OrphanReported] > 0:
		reason = capstanv1.ReasonOrphansReported
	case states[capstanv1.OrphanElsewhere] > 0:
		reason = capstanv1.ReasonMovedElsewhere
	}
	set(r.host, capstanv1.FreeOfOrphansCondition, reason, "%s", summary(r, states))
}

// summary says how many orphans there are and what they wait for.
func summary(r *report, states map[capstanv1.OrphanState]int) string {
	if len(r.orphans) == 0 {
		return "all that bears this installation's stamp has its object"
	}
	all := conditions.Counted(len(r.orphans)+r.more-states[capstanv1.OrphanElsewhere], "orphan")
	if r.more > 0 {
		all += fmt.Sprintf(", of which %d are looked at when others have gone", r.more)
	}
	parts := []string{all}
	for _, of := range []struct {
		state capstanv1.OrphanState
		text  string
	}{
		{capstanv1.OrphanFrozen, "frozen"}, {capstanv1.OrphanReported, "reported"},
		{capstanv1.OrphanWaiting, "waiting for the grace period"}, {capstanv1.OrphanRemoving, "being removed"},
		{capstanv1.OrphanElsewhere, "known, but not where it belongs"},
	} {
		if n := states[of.state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, of.text))
		}
	}
	if i := slices.IndexFunc(r.orphans, func(o *orphan) bool { return o.entry.State == capstanv1.OrphanFrozen }); i >= 0 {
		parts = append(parts, r.orphans[i].entry.Message)
	}
	if i := slices.IndexFunc(r.orphans, func(o *orphan) bool { return o.strayed != "" }); i >= 0 {
		parts = append(parts, describe(&r.orphans[i].entry)+": "+r.orphans[i].entry.Message)
	}
	if token := tokenOf(r.host.Status.Orphans); token != "" {
		parts = append(parts, fmt.Sprintf("to have those removed that wait for it: kubectl annotate --overwrite hypervhost %s %s=%s",
			r.host.Name, capstanv1.RemoveOrphansAnnotation, token))
	}
	return strings.Join(parts, "; ")
}

// tell records what is new on a host, once it stands in its status.
func (r *Reconciler) tell(ctx context.Context, before *capstanv1.HyperVHost, report *report) {
	log := ctrllog.FromContext(ctx).WithValues("host", report.host.Name)
	was := map[string]capstanv1.OrphanState{}
	for _, entry := range before.Status.Orphans {
		was[entry.ID] = entry.State
	}
	newlyFrozen := false
	for _, orphan := range report.orphans {
		entry := &orphan.entry
		switch {
		case orphan.known:
		case orphan.strayed != "":
			log.Info("VM found where it does not belong", hostapi.LogVMID, entry.ID, "owner", entry.Owner, "remnant", entry.Remnant)
			r.Events.Eventf(report.host, nil, corev1.EventTypeWarning, eventStrayed, "Sweep", "%s: %s", describe(entry), entry.Message)
		default:
			metrics.OrphanFound()
			log.Info("Orphan found", hostapi.LogVMID, entry.ID, "owner", entry.Owner, "remnant", entry.Remnant, "state", entry.State)
			r.Events.Eventf(report.host, nil, corev1.EventTypeWarning, eventFound, "Sweep", "%s: %s", describe(entry), entry.Message)
		}
		newlyFrozen = newlyFrozen || entry.State == capstanv1.OrphanFrozen && was[entry.ID] != entry.State
	}
	if newlyFrozen {
		r.Events.Eventf(report.host, nil, corev1.EventTypeWarning, eventFrozen, "Sweep", "%s",
			shorten(conditions.Get(report.host, capstanv1.FreeOfOrphansCondition).Message))
	}
	for i := range report.gone {
		entry := &report.gone[i]
		if entry.State != capstanv1.OrphanRemoving {
			continue
		}
		metrics.OrphanRemoved()
		log.Info("Orphan removed", hostapi.LogVMID, entry.ID, "owner", entry.Owner)
		r.Events.Eventf(report.host, nil, corev1.EventTypeNormal, eventRemoved, "Sweep", "nothing is left of %s", describe(entry))
	}
}

// describe names an orphan for people.
func describe(entry *capstanv1.HostOrphan) string {
	text := "VM " + entry.ID
	if entry.Remnant {
		text = "what is left of " + text
	}
	if entry.Owner != "" {
		text += " of " + entry.Owner
	}
	if len(entry.Volumes) > 0 {
		text += ", on " + strings.Join(entry.Volumes, ", ")
	}
	return text
}
