package virtualmachine

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// delete removes the VM from its host, or writes its tombstone where nobody can,
// and only then lets the object and its addresses go.
func (r *Reconciler) delete(ctx context.Context, s *scope) (*wait, error) {
	if !controllerutil.ContainsFinalizer(s.vm, capstanv1.VirtualMachineFinalizer) {
		return nil, nil
	}
	if s.vm.Spec.Placement != nil {
		hosts := &capstanv1.HyperVHostList{}
		if err := r.Client.List(ctx, hosts); err != nil {
			return nil, fmt.Errorf("listing HyperVHosts: %w", err)
		}
		s.hosts = hosts.Items
		if waiting, err := r.remove(ctx, s); waiting != nil || err != nil {
			return waiting, err
		}
	}
	if err := r.releaseClaims(ctx, s); err != nil {
		return nil, err
	}
	before := s.vm.DeepCopy()
	controllerutil.RemoveFinalizer(s.vm, capstanv1.VirtualMachineFinalizer)
	switch err := r.record(ctx, before, s.vm); {
	case apierrors.IsNotFound(err):
		// The cache is late: it was let go before.
	case err != nil:
		return nil, fmt.Errorf("removing the finalizer from VirtualMachine %s: %w", s.vm.Name, err)
	default:
		ctrllog.FromContext(ctx).Info("VM deleted")
	}
	return nil, nil
}

// remove returns nothing once no VM is left, or its tombstone stands.
func (r *Reconciler) remove(ctx context.Context, s *scope) (*wait, error) {
	if len(speakers(s.vm, s.hosts)) == 0 {
		if waiting := waitForSpeaker(s); waiting != nil {
			return waiting, nil
		}
		return nil, r.entomb(ctx, s)
	}
	key := client.ObjectKeyFromObject(s.vm)
	if s.vm.Status.RemovalHost != "" || s.was != capstanv1.VMDeleting && s.was != "" && !wasWhole(s) {
		r.misses.settle(key)
	}
	err := r.ask(ctx, s)
	isMissing := (err == nil || hostapi.Is(err, hostapi.NotFound)) && isMissed(s.seen)
	if !isMissing {
		r.misses.stopAsking(key)
	}
	if isMissing && (!r.misses.isSettled(key) || s.vm.Status.SeenElsewhere != nil) {
		if waiting, err := r.lookElsewhere(ctx, s); waiting != nil || err != nil {
			return waiting, err
		}
		r.misses.settle(key)
	}
	if err == nil {
		err = s.agent.DeleteVM(ctx, hostapi.DeleteVMRequest{Stamp: r.stamp(s)})
	}
	switch {
	case err == nil:
		// It was there, so what is missed from now on has been removed, as the next manager
		// knows, too.
		s.vm.Status.RemovalHost = s.at.Name
		r.misses.settle(key)
		return &wait{
			reason: capstanv1.ReasonDeleting, requeue: pollWork,
			message: fmt.Sprintf("waiting for host %s to confirm that nothing of the VM is left", s.at.Name),
		}, nil
	case hostapi.Is(err, hostapi.NotFound) && isSeenElsewhere(s):
		// Nobody waits for that place, and nobody there has said that the VM is gone.
		return nil, r.entomb(ctx, s)
	case hostapi.Is(err, hostapi.NotFound):
		return nil, nil
	case hostapi.Is(err, hostapi.VolumeFaulted) && r.volumeGone(s):
		return nil, r.entomb(ctx, s)
	case hostapi.Is(err, hostapi.HostUnreachable) && isPresumedLost(s):
		return nil, r.entomb(ctx, s)
	case hostapi.Is(err, hostapi.HostUnreachable) && s.at == nil:
		return waitForWord(s, err), nil
	default:
		return nil, err
	}
}

// waitForWord is for a deletion that nobody answers who could carry it out.
func waitForWord(s *scope, err error) *wait {
	var names []string
	for _, host := range speakers(s.vm, s.hosts) {
		names = append(names, host.Name)
	}
	slices.Sort(names)
	w := waitOf(capstanv1.VMDeleting, err)
	w.message += "; waiting for an answer, or for " + declareLost(names)
	return w
}

// isPresumedLost tells whether nobody need be waited for who could remove the VM. Whoever
// answers is asked, whatever was presumed of it.
func isPresumedLost(s *scope) bool {
	_, silent := s.vm.SilentSince(s.hosts)
	_, presumed := s.vm.Annotations[capstanv1.PresumedLostAnnotation]
	return presumed && silent
}

// volumeGone tells whether a volume of the VM is out of its host's reach, so that
// waiting for the VM to go may be waiting for ever. The agent, which answers, is
// given the tombstone at once and lets the VM start no more.
func (r *Reconciler) volumeGone(s *scope) bool {
	for _, d := range s.vm.Spec.Placement.Disks {
		if !reaches(s.at, d.Volume) {
			return true
		}
	}
	return false
}

func reaches(host *capstanv1.HyperVHost, volume string) bool {
	for i := range host.Status.Volumes {
		if v := &host.Status.Volumes[i]; v.Name == volume {
			return !v.IsOut()
		}
	}
	return false
}

// entomb writes down that the VM must die whenever its host or volume comes back.
func (r *Reconciler) entomb(ctx context.Context, s *scope) error {
	vm := s.vm
	tombstone := &capstanv1.Tombstone{
		ObjectMeta: metav1.ObjectMeta{Name: vm.Spec.ID, Finalizers: []string{capstanv1.TombstoneFinalizer}, Labels: labelsOfBuried(vm)},
		Spec: capstanv1.TombstoneSpec{
			ID: vm.Spec.ID, VMRef: capstanv1.VMReference{Namespace: vm.Namespace, Name: vm.Name},
			Host: vm.Spec.Placement.Host, FailoverCluster: vm.Spec.Placement.FailoverCluster, Disks: vm.Spec.Placement.Disks,
		},
	}
	if seen := vm.Status.SeenElsewhere; isSeenElsewhere(s) && !seen.Back {
		// Who honours it must be who has the VM. Where its disks lie there is not known.
		tombstone.Spec.Host, tombstone.Spec.FailoverCluster, tombstone.Spec.Disks = seen.Host, seen.FailoverCluster, nil
	}
	for i, network := range vm.Spec.Networks {
		address, err := r.addressOf(ctx, client.ObjectKey{Namespace: vm.Namespace, Name: claimName(vm, i)})
		if err != nil {
			return err
		}
		if address != "" {
			tombstone.Spec.Addresses = append(tombstone.Spec.Addresses, capstanv1.ReservedAddress{
				LogicalNetwork: network.LogicalNetwork, Address: address,
			})
		}
	}
	virtual, err := r.virtualAddressesOf(ctx, vm)
	if err != nil {
		return err
	}
	tombstone.Spec.Addresses = append(tombstone.Spec.Addresses, virtual...)
	if err := r.Client.Create(ctx, tombstone, client.FieldOwner(capstanv1.FieldOwner)); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("writing Tombstone %s of VirtualMachine %s/%s: %w", tombstone.Name, vm.Namespace, vm.Name, err)
	}
	ctrllog.FromContext(ctx).Info("Tombstone written", "host", tombstone.Spec.Host)
	return nil
}

// labelsOfBuried let the LoadBalancer of a buried VM find it: its other VMs must go
// on speaking to it until it is known to be dead.
func labelsOfBuried(vm *capstanv1.VirtualMachine) map[string]string {
	if name := vm.Labels[capstanv1.LoadBalancerLabel]; name != "" {
		return map[string]string{capstanv1.LoadBalancerLabel: name}
	}
	return nil
}
