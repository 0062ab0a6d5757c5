package loadbalancer

import (
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/outage"
)

// A host that is silent says nothing of its VMs, and an agent that is silent nothing of
// what it carries: the manager may be the one who is cut off. That both are lost has
// another witness, which is where the clients are: a VM that holds the VIPs, and does not
// hear the silent one either.

// loss is what speaks for a VM being lost with its host.
type loss struct {
	// since is since when nobody hears of the VM. It is zero where somebody does, or where
	// there is nobody to say so.
	since time.Time
	// due is when it counts as lost, and held why nothing is done about it all the same, or
	// nil.
	due  time.Time
	held *outage.Hold
	// refuted tells that it is heard of after all.
	refuted bool
}

func (l loss) isPossible() bool { return !l.since.IsZero() }

// isPresumed tells whether nobody who could remove the VM is waited for.
func (l loss) isPresumed(now time.Time) bool {
	return l.isPossible() && !l.due.After(now) && l.held == nil
}

// lossOf gathers what speaks for one of s.vms being lost.
func (r *Reconciler) lossOf(s *scope, index int, held *outage.Hold) loss {
	vm, key := &s.vms[index], client.ObjectKeyFromObject(s.lb)
	agent := r.agents.of(key, vm)
	hosts, silent := vm.SilentSince(s.hosts)
	own, _ := agent.silence()
	if !silent || agent.observed() != nil {
		agent.unheardSince(s.now, false)
		return loss{refuted: true}
	}
	var others []*lbapi.Status
	for i := range s.vms {
		if i != index {
			others = append(others, r.agents.of(key, &s.vms[i]).observed())
		}
	}
	witness := hearsay(vm, others)
	if witness == heardOf {
		agent.unheardSince(s.now, false)
		return loss{refuted: true}
	}
	if witness == nobodyKnows || own.IsZero() || !hasCarried(s.lb, vm) {
		return loss{}
	}
	since := agent.unheardSince(s.now, true)
	for _, t := range []time.Time{hosts, own} {
		if t.After(since) {
			since = t
		}
	}
	due, ever := r.Outages.Timeouts().LostAt(since)
	if !ever {
		return loss{}
	}
	return loss{since: since, due: due, held: held}
}

// judgeLoss is for a VM that nobody hears of. Another one holds the VIPs.
func judgeLoss(e evidence, now time.Time) verdict {
	v := verdict{reason: capstanv1.ReasonHostLost}
	v.message = fmt.Sprintf("neither its agent nor any host that can have it (%s) answers, nor does the virtual machine hear it that holds the VIP, since %s",
		hostOf(e.vm), conditions.ClockTime(e.loss.since))
	if e.loss.held != nil {
		v.reason, v.message = capstanv1.ReasonRepairHeld, v.message+"; "+e.loss.held.String()
		later := e.loss.held.Until
		if e.loss.due.After(later) {
			later = e.loss.due
		}
		return v.after(later, now)
	}
	return v.after(e.loss.due, now)
}

// unheardSince returns since when nobody hears of the VM.
func (a *agent) unheardSince(now time.Time, unheard bool) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unheard.goesOn(unheard, now)
}
