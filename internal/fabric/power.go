package fabric

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// StartVM switches a VM on. Its guest answers after the boot time.
func (h *Host) StartVM(_ context.Context, req fabricapi.VMRef) (fabricapi.VM, error) {
	return h.changeVM(req.GUID, func(_ *tx, v *vm) error {
		if v.State != fabricapi.Off {
			return wrongState(v, "it cannot be started")
		}
		return h.w.start(v)
	})
}

// start switches a VM on, on the node that owns it.
func (w *World) start(v *vm) error {
	if err := checkProcessors(v.node(), v.Processors); err != nil {
		return err
	}
	if err := checkMemory(v.node(), v.MemoryMiB); err != nil {
		return err
	}
	for _, ref := range v.Disks {
		volume := v.site.volumes[ref.Volume]
		if !volume.Fault.Usable() {
			return fabricapi.Refuse(fabricapi.VolumeUnavailable, ref.Volume, "volume %s cannot be used: %s", ref.Volume, volume.Fault)
		}
		if file := volume.files[ref.Path]; file == nil {
			return fabricapi.Refuse(fabricapi.NotFound, ref.Path, "disk %s of VM %s is gone", ref.Path, v.GUID)
		} else if file.Parent != "" && volume.files[file.Parent] == nil {
			return fabricapi.Refuse(fabricapi.MissingParent, file.Parent, "the parent of disk %s is gone", ref.Path)
		}
	}
	if v.storageLost() {
		return fabricapi.Refuse(fabricapi.VolumeUnavailable, v.ConfigVolume, "volume %s cannot be used", v.ConfigVolume)
	}
	v.State = fabricapi.Running
	w.boot(v, w.BootTime)
	return nil
}

// ShutDownVM asks the guest to shut down.
func (h *Host) ShutDownVM(_ context.Context, req fabricapi.VMRef) (fabricapi.VM, error) {
	return h.changeVM(req.GUID, func(t *tx, v *vm) error {
		switch {
		case v.State == fabricapi.Stopping:
			return nil
		case v.State != fabricapi.Running:
			return wrongState(v, "there is no guest to ask")
		case v.deaf:
			// A guest that hangs takes the request and does nothing.
			return nil
		case v.Heartbeat != fabricapi.HeartbeatOK:
			return fabricapi.Refuse(fabricapi.GuestNotReady, v.GUID, "the guest of VM %s does not answer", v.GUID)
		}
		h.did(t, "ShutDownVM", v.GUID, v)
		v.State = fabricapi.Stopping
		power := v.power
		h.w.later(h.w.StopTime, func() { h.w.shutDownDone(v, power) })
		return nil
	})
}

func (w *World) shutDownDone(v *vm, power int) {
	_ = w.update(func(t *tx) error {
		if v.power == power && v.State == fabricapi.Stopping {
			w.turnOff(t, v)
		}
		return nil
	})
}

// TurnOffVM switches a VM off without asking the guest. One that is off stays
// off.
func (h *Host) TurnOffVM(_ context.Context, req fabricapi.VMRef) (fabricapi.VM, error) {
	return h.changeVM(req.GUID, func(t *tx, v *vm) error {
		if v.State != fabricapi.Off {
			h.did(t, "TurnOffVM", v.GUID, v)
		}
		h.w.turnOff(t, v)
		return nil
	})
}

func (w *World) turnOff(t *tx, v *vm) {
	w.haltGuest(t, v)
	v.State = fabricapi.Off
	t.saveVM(v.site, v)
	if v.site.cluster {
		// Its memory may be what the VM of a lost node waits for.
		w.placeLost(t, v.site)
	}
}

// WaitVM waits until a VM is in a state.
func (h *Host) WaitVM(ctx context.Context, req fabricapi.WaitVMRequest) (out fabricapi.VM, err error) {
	err = h.w.await(ctx, req.Timeout, func() (bool, error) {
		if err := h.available(); err != nil {
			return false, err
		}
		v := h.site.vms[req.GUID]
		if v == nil {
			return false, fabricapi.Refuse(fabricapi.NotFound, req.GUID, "there is no VM %s", req.GUID)
		}
		out = v.view()
		return out.State == req.State && (req.Heartbeat == "" || out.Heartbeat == req.Heartbeat), nil
	})
	return out, err
}
