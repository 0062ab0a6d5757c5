package orphan

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// page is how many objects are read at a time: there may be tens of thousands.
const page = 500

// known is what the API server has that a VM can be there for.
type known struct {
	ids map[hostapi.VMID]bool
	// at is where those belong that have a place.
	at map[hostapi.VMID]placed
	// namespaces are those with a machine or a VM in them.
	namespaces map[string]bool
}

// placed is a VirtualMachine and where it was placed, which never changes.
type placed struct {
	name  string
	place capstanv1.Placement
}

// strayed says whose a VM is that a place holds and that belongs to another place; or
// nothing of one that is where it belongs, or that is to go wherever it is.
func (k *known) strayed(id hostapi.VMID, p *census.Place) string {
	at, ok := k.at[id]
	if !ok || p.SpeaksFor(at.place) {
		return ""
	}
	return fmt.Sprintf("VirtualMachine %s has it on host %s", at.name, at.place.Host)
}

// readKnown reads all of them past the cache. The identity of a VM is the UID of its
// VirtualMachine or of its HyperVMachine. After both were restored or moved it is what
// was recorded, while their UIDs are new. As long as there is a HyperVMachine, its VM is
// a machine that somebody may use, though its VirtualMachine is gone: Cluster API decides
// what becomes of it. What is buried has its tombstone.
func (r *Reconciler) readKnown(ctx context.Context) (*known, error) {
	k := &known{ids: map[hostapi.VMID]bool{}, at: map[hostapi.VMID]placed{}, namespaces: map[string]bool{}}
	vms := &capstanv1.VirtualMachineList{}
	if err := r.eachPage(ctx, vms, func() {
		for i := range vms.Items {
			vm := &vms.Items[i]
			k.add(vm, vm.Spec.ID)
			if vm.Spec.ID != "" && vm.Spec.Placement != nil {
				k.at[hostapi.VMID(vm.Spec.ID)] = placed{vm.Namespace + "/" + vm.Name, *vm.Spec.Placement}
			}
		}
	}); err != nil {
		return nil, fmt.Errorf("listing VirtualMachines: %w", err)
	}
	machines := &infrav1.HyperVMachineList{}
	if err := r.eachPage(ctx, machines, func() {
		for i := range machines.Items {
			k.add(&machines.Items[i], strings.TrimPrefix(machines.Items[i].Spec.ProviderID, capstanv1.ProviderIDScheme))
		}
	}); err != nil {
		return nil, fmt.Errorf("listing HyperVMachines: %w", err)
	}
	tombstones := &capstanv1.TombstoneList{}
	if err := r.eachPage(ctx, tombstones, func() {
		for i := range tombstones.Items {
			id := hostapi.VMID(tombstones.Items[i].Spec.ID)
			k.ids[id] = true
			delete(k.at, id)
		}
	}); err != nil {
		return nil, fmt.Errorf("listing Tombstones: %w", err)
	}
	return k, nil
}

func (k *known) add(obj client.Object, id string) {
	k.ids[hostapi.VMID(obj.GetUID())] = true
	k.namespaces[obj.GetNamespace()] = true
	if id != "" {
		k.ids[hostapi.VMID(id)] = true
	}
}

// eachPage reads a whole list, page by page of one and the same moment.
func (r *Reconciler) eachPage(ctx context.Context, list client.ObjectList, do func()) error {
	for next := ""; ; {
		if err := r.Live.List(ctx, list, client.Limit(page), client.Continue(next)); err != nil {
			return err
		}
		do()
		if next = list.GetContinue(); next == "" {
			return nil
		}
	}
}
