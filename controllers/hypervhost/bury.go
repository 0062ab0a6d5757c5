package hypervhost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// bury hands the agent the tombstones, and releases those that it confirms.
func (r *Reconciler) bury(ctx context.Context, s *scope) error {
	tombstones := &capstanv1.TombstoneList{}
	reader := client.Reader(r.Client)
	if s.hello.AwaitingBury {
		// The agent starts VMs after this call, so no tombstone may be missed.
		reader = r.Live
	}
	if err := reader.List(ctx, tombstones); err != nil {
		return fmt.Errorf("listing Tombstones: %w", err)
	}
	all, open := r.buried(tombstones.Items, s.host)
	hash := hashOf(all)
	if !s.hello.AwaitingBury && len(open) == 0 && s.memory.told == hash {
		return nil
	}
	gone, err := s.agent.Bury(ctx, all)
	if err != nil {
		return err
	}
	s.memory.told = hash
	for _, t := range open {
		if err := r.honour(ctx, t, slices.Contains(gone, hostapi.VMID(t.Spec.ID))); err != nil {
			return err
		}
	}
	return nil
}

// honour releases a tombstone of whose VM nothing is left, or says what it waits
// for. It is open at the next poll, too.
func (r *Reconciler) honour(ctx context.Context, t *capstanv1.Tombstone, gone bool) error {
	if !gone {
		return r.tell(ctx, t, capstanv1.ReasonDeleting, "the VM is being deleted")
	}
	if released, err := r.release(ctx, t); err != nil || released {
		return err
	}
	return r.tell(ctx, t, capstanv1.ReasonDeleting, "nothing of the VM is left; waiting for its claims to be released")
}

// tellOfSilence says of the tombstones of a stand-alone host why it does not
// honour them. Those of a failover cluster may be honoured by another node.
func (r *Reconciler) tellOfSilence(ctx context.Context, s *scope) error {
	tombstones := &capstanv1.TombstoneList{}
	if err := r.Client.List(ctx, tombstones); err != nil {
		return fmt.Errorf("listing Tombstones: %w", err)
	}
	for i := range tombstones.Items {
		t := &tombstones.Items[i]
		if t.Spec.FailoverCluster != "" || !concerns(t, s.host) {
			continue
		}
		if err := r.tell(ctx, t, reasonOf(s.err), "host %s has not confirmed yet that nothing of the VM is left: %s", s.host.Name, s.err); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) tell(ctx context.Context, t *capstanv1.Tombstone, reason, format string, args ...any) error {
	before := t.DeepCopy()
	t.Status.ObservedGeneration = t.Generation
	conditions.False(t, capstanv1.ReadyCondition, reason, format, args...)
	// Who wrote first may be another node of the failover cluster.
	if err := r.writer.Write(ctx, before, t); !apierrors.IsConflict(err) {
		return err
	}
	return nil
}

// buried returns all tombstones as agents know them, and those of them that this
// host can confirm.
func (r *Reconciler) buried(tombstones []capstanv1.Tombstone, host *capstanv1.HyperVHost) (all []hostapi.Tombstone, open []*capstanv1.Tombstone) {
	slices.SortFunc(tombstones, func(a, b capstanv1.Tombstone) int { return strings.Compare(a.Spec.ID, b.Spec.ID) })
	for i := range tombstones {
		t := &tombstones[i]
		all = append(all, hostapi.Tombstone{
			Stamp: hostapi.Stamp{Installation: r.Installation, ID: hostapi.VMID(t.Spec.ID)}, Name: t.Spec.VMRef.Name,
		})
		if concerns(t, host) {
			open = append(open, t)
		}
	}
	return all, open
}

// concerns tells whether a host speaks for the place where the VM of a tombstone
// was.
func concerns(t *capstanv1.Tombstone, host *capstanv1.HyperVHost) bool {
	return host.SpeaksFor(t.Spec.FailoverCluster, t.Spec.Host)
}

// mayConcern tells whether a host may turn out to speak for the place of a
// tombstone: it has not said yet which failover cluster it is in.
func mayConcern(t *capstanv1.Tombstone, host *capstanv1.HyperVHost) bool {
	return t.Spec.FailoverCluster != "" && host.Status.Memory == nil && !host.Spec.Lost
}

func hashOf(tombstones []hostapi.Tombstone) string {
	sum := sha256.New()
	for _, t := range tombstones {
		sum.Write([]byte(t.Stamp.ID))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// releaseOfRemoved releases the tombstones that nobody can confirm any more,
// because the administrator has removed the host and all that could speak for it.
// It tells whether some have to wait.
func (r *Reconciler) releaseOfRemoved(ctx context.Context, name string) (waiting bool, err error) {
	tombstones := &capstanv1.TombstoneList{}
	if err := r.Client.List(ctx, tombstones); err != nil {
		return false, fmt.Errorf("listing Tombstones: %w", err)
	}
	hosts := &capstanv1.HyperVHostList{}
	if err := r.Client.List(ctx, hosts); err != nil {
		return false, fmt.Errorf("listing HyperVHosts: %w", err)
	}
	for i := range tombstones.Items {
		t := &tombstones.Items[i]
		switch {
		case t.Spec.Host != name:
			continue
		case slices.ContainsFunc(hosts.Items, func(h capstanv1.HyperVHost) bool { return concerns(t, &h) }):
			continue
		case slices.ContainsFunc(hosts.Items, func(h capstanv1.HyperVHost) bool { return mayConcern(t, &h) }):
			waiting = true
			continue
		}
		released, err := r.release(ctx, t)
		if err != nil {
			return false, err
		}
		waiting = waiting || !released
	}
	return waiting, nil
}

// hostsOfTombstone are those that can honour a tombstone. The host it names is
// among them even if it is gone: then it is released.
func (r *Reconciler) hostsOfTombstone(ctx context.Context, obj client.Object) []reconcile.Request {
	t, ok := obj.(*capstanv1.Tombstone)
	if !ok {
		return nil
	}
	requests := []reconcile.Request{{NamespacedName: client.ObjectKey{Name: t.Spec.Host}}}
	if t.Spec.FailoverCluster == "" {
		return requests
	}
	hosts := &capstanv1.HyperVHostList{}
	if err := r.Client.List(ctx, hosts); err != nil {
		return requests
	}
	for i := range hosts.Items {
		if h := &hosts.Items[i]; h.Name != t.Spec.Host && concerns(t, h) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Name: h.Name}})
		}
	}
	return requests
}
