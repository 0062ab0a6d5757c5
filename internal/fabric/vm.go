package fabric

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// vm is a VM and the guest in it.
type vm struct {
	fabricapi.VM
	site *site

	// power counts boots and halts: what belongs to an earlier one is void.
	power int
	guest Guest
	// cut ends the context of the guest.
	cut context.CancelFunc
	// guestMu is held while a guest starts or stops, so that one is gone before
	// the next one comes.
	guestMu sync.Mutex
	// deaf guests neither heed a shutdown nor send a heartbeat.
	deaf bool
}

// consoleLines is how much of a guest's console is kept.
const consoleLines = 50

func (v *vm) node() *host {
	i := slices.IndexFunc(v.site.hosts, func(h *host) bool { return h.Name == v.Host })
	return v.site.hosts[i]
}

// holdsMemory tells whether the VM's memory is taken from its host.
func (v *vm) holdsMemory() bool { return v.State != fabricapi.Off }

// view is the VM as its hosts show it.
func (v *vm) view() fabricapi.VM {
	out := v.VM
	out.Disks = slices.Clone(v.Disks)
	out.NICs = slices.Clone(v.NICs)
	out.Console = slices.Clone(v.Console)
	if v.deaf && out.Heartbeat == fabricapi.HeartbeatOK {
		out.Heartbeat = fabricapi.HeartbeatLost
	}
	if v.node().DownSince != nil && v.State != fabricapi.Off {
		out.State = fabricapi.Lost
	}
	return out
}

// storageLost tells whether a disk or the configuration of the VM cannot be
// reached.
func (v *vm) storageLost() bool {
	lost := !v.site.volumes[v.ConfigVolume].Fault.Usable()
	for _, d := range v.Disks {
		lost = lost || !v.site.volumes[d.Volume].Fault.Usable()
	}
	return lost
}

// attached tells whether the VM holds a file.
func (v *vm) attached(ref fabricapi.FileRef) bool {
	return slices.Contains(v.Disks, ref) || (v.ISO != nil && *v.ISO == ref)
}

func checkSize(processors int32, memoryMiB int64) error {
	// Hyper-V allots memory in pieces of two MiB and needs 32 MiB to start.
	if processors < 1 || memoryMiB < 32 || memoryMiB%2 != 0 {
		return fabricapi.Refuse(fabricapi.InvalidParameter, "",
			"%d processors and %d MiB of memory: at least 1 and 32 are needed, and an even number of MiB", processors, memoryMiB)
	}
	return nil
}

func checkProcessors(h *host, processors int32) error {
	if processors > h.Processors {
		return fabricapi.Refuse(fabricapi.TooManyProcessors, h.Name,
			"host %s has %d processors, %d are asked for", h.Name, h.Processors, processors)
	}
	return nil
}

// DefineVM makes a VM without devices, switched off.
func (h *Host) DefineVM(_ context.Context, req fabricapi.DefineVMRequest) (out fabricapi.VM, err error) {
	err = h.update(func(t *tx) error {
		if err := checkSize(req.Processors, req.MemoryMiB); err != nil {
			return err
		}
		if err := checkProcessors(h.host, req.Processors); err != nil {
			return err
		}
		if err := checkTemplate(req.SecureBoot); err != nil {
			return err
		}
		if _, err := h.volume(req.ConfigVolume); err != nil {
			return err
		}
		if req.Role != "" {
			if err := h.ownsRole(req.Role); err != nil {
				return err
			}
		}
		v := &vm{site: h.site, VM: fabricapi.VM{
			GUID: h.w.NewID(), Name: req.Name, Stamp: req.Stamp, Notes: req.Notes, ConfigVolume: req.ConfigVolume,
			Role: req.Role, Host: h.Name, State: fabricapi.Off, Processors: req.Processors, MemoryMiB: req.MemoryMiB,
			SecureBoot: req.SecureBoot,
		}}
		h.site.vms[v.GUID] = v
		t.saveVM(h.site, v)
		out = v.view()
		return nil
	})
	return out, err
}

// ModifyVM changes settings. The number of processors and the firmware's settings
// are fixed while the VM is on; memory is given and taken at run time as well.
func (h *Host) ModifyVM(_ context.Context, req fabricapi.ModifyVMRequest) (fabricapi.VM, error) {
	return h.changeVM(req.GUID, func(_ *tx, v *vm) error {
		if err := checkSize(req.Processors, req.MemoryMiB); err != nil {
			return err
		}
		if req.Processors != v.Processors {
			if v.State != fabricapi.Off {
				return wrongState(v, "its processors cannot be changed")
			}
			if err := checkProcessors(v.node(), req.Processors); err != nil {
				return err
			}
		}
		if req.SecureBoot != "" && req.SecureBoot != v.SecureBoot {
			if v.State != fabricapi.Off {
				return wrongState(v, "its secure boot template cannot be changed")
			}
			if err := checkTemplate(req.SecureBoot); err != nil {
				return err
			}
			v.SecureBoot = req.SecureBoot
		}
		if more := req.MemoryMiB - v.MemoryMiB; v.holdsMemory() {
			if err := checkMemory(v.node(), more); err != nil {
				return err
			}
		}
		v.Notes, v.Processors, v.MemoryMiB = req.Notes, req.Processors, req.MemoryMiB
		return nil
	})
}

// DestroyVM removes the configuration of a VM. Its files and its role stay.
func (h *Host) DestroyVM(_ context.Context, req fabricapi.VMRef) (fabricapi.None, error) {
	return fabricapi.None{}, h.update(func(t *tx) error {
		v, err := h.reach(req.GUID)
		if err != nil {
			return err
		}
		if v.State != fabricapi.Off {
			return wrongState(v, "it cannot be removed")
		}
		if _, err := h.volume(v.ConfigVolume); err != nil {
			return err
		}
		h.did(t, "DestroyVM", v.GUID, v)
		delete(h.site.vms, v.GUID)
		t.Delete(kindVM, v.GUID)
		return nil
	})
}

// ListVMs returns VMs by the ID in their stamp.
func (h *Host) ListVMs(_ context.Context, req fabricapi.StampRef) (out []fabricapi.VM, err error) {
	err = h.read(func() error {
		for _, v := range h.site.vms {
			if req.ID == "" || (v.Stamp != nil && v.Stamp.ID == req.ID) {
				out = append(out, v.view())
			}
		}
		slices.SortFunc(out, func(a, b fabricapi.VM) int { return strings.Compare(a.GUID, b.GUID) })
		return nil
	})
	return out, err
}

// GetVM returns a VM.
func (h *Host) GetVM(_ context.Context, req fabricapi.VMRef) (out fabricapi.VM, err error) {
	err = h.read(func() error {
		v := h.site.vms[req.GUID]
		if v == nil {
			return fabricapi.Refuse(fabricapi.NotFound, req.GUID, "there is no VM %s", req.GUID)
		}
		out = v.view()
		return nil
	})
	return out, err
}

func wrongState(v *vm, what string) error {
	return fabricapi.Refuse(fabricapi.InvalidState, v.GUID, "VM %s (%s) is %s: %s", v.Name, v.GUID, v.State, what)
}
