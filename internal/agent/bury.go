package agent

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Bury implements hostapi.Agent.
func (a *Agent) Bury(ctx context.Context, tombstones []hostapi.Tombstone) ([]hostapi.VMID, error) {
	const op = "Bury"
	for _, t := range tombstones {
		if err := checkStamp(op, t.Stamp); err != nil {
			return nil, err
		}
	}
	if err := a.journal.bury(tombstones); err != nil {
		return nil, hostapi.Errorf(hostapi.Transient, op, "", "%w", err)
	}
	if err := a.restore(ctx); err != nil {
		return nil, err
	}
	// What works on a VM now may make it after the list was read.
	busy := map[hostapi.VMID]bool{}
	for _, t := range tombstones {
		busy[t.Stamp.ID] = a.operations.planned(vmSubject(t.Stamp.ID)) != nil
	}
	vms, err := a.driver.ListVMs(ctx)
	if err != nil {
		return nil, err
	}
	present := map[hostapi.VMID]bool{}
	for _, vm := range vms {
		present[vm.Stamp.ID] = true
	}
	var gone []hostapi.VMID
	for _, t := range tombstones {
		id := t.Stamp.ID
		if !present[id] && !busy[id] {
			gone = append(gone, id)
			continue
		}
		a.log.Info("VM is buried and is deleted", hostapi.LogVMID, id, "name", t.Name)
		if err := a.begin(vmSubject(id), a.deleteRequest(hostapi.DeleteVMRequest{Stamp: t.Stamp})); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// restore does what waited for the tombstones: it goes on with the journal, and
// after a boot starts the VMs that ran. The nodes of a failover cluster do
// neither: the cluster has started their VMs, and what the journal says may have
// been overtaken through another node.
func (a *Agent) restore(ctx context.Context) error {
	h, err := a.host(ctx)
	if err != nil {
		return err
	}
	booted := h.bootID != "" && a.journal.restoredBoot() != h.bootID
	if h.cluster == "" {
		a.operations.release()
		if booted {
			if err := a.startAll(); err != nil {
				return err
			}
		}
	}
	if booted {
		if err := a.journal.putRestoredBoot(h.bootID); err != nil {
			return hostapi.Errorf(hostapi.Transient, "Bury", "", "%w", err)
		}
	}
	a.boot.markBuried(h.bootID)
	return nil
}

func (a *Agent) startAll() error {
	for _, vm := range a.journal.wantedOn() {
		a.log.Info("VM is started after the boot of its host", hostapi.LogVMID, vm.Stamp.ID, "name", vm.Name)
		r := a.powerRequest(hostapi.SetPowerRequest{Stamp: vm.Stamp, Power: hostapi.PowerOn})
		r.onlyIfIdle = true
		if err := a.begin(vmSubject(vm.Stamp.ID), r); err != nil {
			return err
		}
	}
	return nil
}

// begin has work done that no call waits for.
func (a *Agent) begin(name string, r request) error {
	s := a.operations.use(name)
	defer a.operations.leave(s)
	r.fresh = true
	_, err := a.operations.submit(s, r)
	return err
}
