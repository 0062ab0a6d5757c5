package hypervmachine

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// Vigil is for VMs that are no machine's: they are presumed lost with their hosts, and
// kept from being replaced in an outage, as those of machines are. What else speaks for
// their loss is for others to know.
type Vigil struct {
	// Timeouts are those that machines have.
	Timeouts Timeouts

	outages outages
	began   sync.Once
	watched time.Time
}

// Begin says that somebody looks from now on, unless somebody did before.
func (v *Vigil) Begin(now time.Time) {
	v.began.Do(func() { v.watched = now })
}

// LostAt tells when what nobody has heard of since then counts as lost, if it ever does.
func (v *Vigil) LostAt(since time.Time) (due time.Time, ever bool) {
	after := v.Timeouts.withDefaults().HostLoss
	return since.Add(after), after > 0
}

// Held tells until when nothing is replaced because most of what there is has gone at
// once, and why, or zero.
func (v *Vigil) Held(hosts []capstanv1.HyperVHost, now time.Time) (until time.Time, why string) {
	e := &evidence{hosts: hosts, now: now, watched: v.watched, timeouts: v.Timeouts.withDefaults()}
	if v.outages.look(e); e.hold == nil {
		return time.Time{}, ""
	}
	return e.hold.until, e.hold.String()
}

// Presume says on a VirtualMachine since when it is presumed lost, so that its deletion
// does not wait for a host that is not expected back; and takes that back where since is
// zero.
func Presume(ctx context.Context, c client.Client, vm *capstanv1.VirtualMachine, since time.Time) error {
	want := ""
	if !since.IsZero() {
		want = since.UTC().Format(time.RFC3339)
	}
	if vm.Annotations[capstanv1.PresumedLostAnnotation] == want {
		return nil
	}
	before := vm.DeepCopy()
	if want == "" {
		delete(vm.Annotations, capstanv1.PresumedLostAnnotation)
	} else {
		metav1.SetMetaDataAnnotation(&vm.ObjectMeta, capstanv1.PresumedLostAnnotation, want)
	}
	ctrllog.FromContext(ctx).Info("Whether the VM is presumed lost has changed", "VirtualMachine", vm.Name, "lost", want != "", "host", vm.Place().Host)
	if err := c.Patch(ctx, vm, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}),
		client.FieldOwner(capstanv1.FieldOwner)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("changing the annotation %s of VirtualMachine %s: %w", capstanv1.PresumedLostAnnotation, client.ObjectKeyFromObject(vm), err)
	}
	return nil
}
