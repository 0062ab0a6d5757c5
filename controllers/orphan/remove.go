package orphan

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/controller"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// remove has those removed whose reports stand and say so. The API server is asked once
// more: while the reports were written somebody may have brought an object back. What a
// host answers is told with the next report; it is asked again until the orphan is gone.
func (r *Reconciler) remove(ctx context.Context, reported []*report) error {
	var due []*orphan
	for _, report := range reported {
		for _, orphan := range report.orphans {
			if orphan.entry.State == capstanv1.OrphanRemoving {
				due = append(due, orphan)
			}
		}
	}
	if len(due) == 0 {
		return nil
	}
	known, err := r.readKnown(ctx)
	if err != nil {
		return fmt.Errorf("looking for the objects of orphans once more: %w", err)
	}
	ctx = hostapi.WithRequestID(ctx, string(controller.ReconcileIDFromContext(ctx)))
	for _, orphan := range due {
		id := orphan.vm.Stamp.ID
		// Whatever else has changed since the report, an administrator's word holds.
		if known.ids[id] || uprooted(orphan, known) != "" && !orphan.entry.Acknowledged {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r.memory[id] = memory{failure: r.removeOne(ctx, orphan)}
	}
	return nil
}

// removeOne asks for the end of one orphan and returns why that was refused.
func (r *Reconciler) removeOne(ctx context.Context, o *orphan) (failure string) {
	agent := o.place.Agent
	var err error
	if o.host != o.place.Asked {
		agent, err = r.Hosts.Agent(ctx, o.host)
	}
	if err == nil {
		err = agent.DeleteVM(ctx, hostapi.DeleteVMRequest{Stamp: o.vm.Stamp})
	}
	if err == nil || hostapi.Is(err, hostapi.NotFound) {
		return ""
	}
	if !errors.Is(err, context.Canceled) {
		ctrllog.FromContext(ctx).Info("Orphan could not be removed", hostapi.LogVMID, o.vm.Stamp.ID, "host", o.host.Name,
			"class", string(hostapi.ClassOf(err)), "error", err.Error())
	}
	return fmt.Sprintf("host %s: %s", o.host.Name, err)
}
