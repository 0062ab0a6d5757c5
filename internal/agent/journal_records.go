package agent

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// putVM records what is wanted of a VM. Nothing is written if it is known.
func (j *journal) putVM(r vmRecord) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Version = journalVersion
	if j.vms[r.Stamp.ID] == r {
		return nil
	}
	if err := j.put(filepath.Join(vmFolder, vmFile(r.Stamp.ID)), r); err != nil {
		return err
	}
	j.vms[r.Stamp.ID] = r
	return nil
}

// removeVM forgets a VM: the agent will not start it any more.
func (j *journal) removeVM(id hostapi.VMID) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, known := j.vms[id]; !known {
		return nil
	}
	if err := j.remove(filepath.Join(vmFolder, vmFile(id))); err != nil {
		return err
	}
	delete(j.vms, id)
	return nil
}

// wantedOn returns the VMs that are to run, in the order of their IDs.
func (j *journal) wantedOn() []vmRecord {
	j.mu.Lock()
	defer j.mu.Unlock()
	var on []vmRecord
	for _, r := range j.vms {
		if r.Power == hostapi.PowerOn {
			on = append(on, r)
		}
	}
	slices.SortFunc(on, func(a, b vmRecord) int { return strings.Compare(string(a.Stamp.ID), string(b.Stamp.ID)) })
	return on
}

func (j *journal) putOperation(r operationRecord) error {
	r.Version = journalVersion
	return j.put(filepath.Join(operationFolder, operationFile(r.Ref)), r)
}

func (j *journal) removeOperation(ref string) error {
	return j.remove(filepath.Join(operationFolder, operationFile(ref)))
}

// bury replaces all tombstones. A buried VM is forgotten as well.
func (j *journal) bury(tombstones []hostapi.Tombstone) error {
	buried := make(map[hostapi.VMID]hostapi.Tombstone, len(tombstones))
	for _, t := range tombstones {
		buried[t.Stamp.ID] = t
	}
	if err := j.replaceTombstones(buried); err != nil {
		return err
	}
	for id := range buried {
		if err := j.removeVM(id); err != nil {
			return err
		}
	}
	return nil
}

func (j *journal) replaceTombstones(buried map[hostapi.VMID]hostapi.Tombstone) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if maps.Equal(buried, j.tombstones) {
		return nil
	}
	r := tombstoneRecord{Version: journalVersion, Tombstones: slices.Collect(maps.Values(buried))}
	if err := j.put(tombstoneFile, r); err != nil {
		return err
	}
	j.tombstones = buried
	return nil
}

func (j *journal) isBuried(id hostapi.VMID) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, buried := j.tombstones[id]
	return buried
}

// restoredBoot is the boot of the host for which the tombstones were handed in
// and VMs started.
func (j *journal) restoredBoot() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.boot.BootID
}

func (j *journal) putRestoredBoot(bootID string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.boot.BootID == bootID {
		return nil
	}
	r := bootRecord{Version: journalVersion, BootID: bootID}
	if err := j.put(bootFile, r); err != nil {
		return err
	}
	j.boot = r
	return nil
}
