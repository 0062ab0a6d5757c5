package fabric

import (
	"context"
	"net"
	"slices"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// AttachDisk attaches a disk to the SCSI controller, where it may be done while
// the VM runs.
func (h *Host) AttachDisk(_ context.Context, req fabricapi.VMFileRef) (fabricapi.VM, error) {
	return h.changeVM(req.GUID, func(_ *tx, v *vm) error {
		if err := h.attachable(req.FileRef, fabricapi.VHDX); err != nil {
			return err
		}
		v.Disks = append(v.Disks, req.FileRef)
		return nil
	})
}

// AttachISO puts an ISO into the DVD drive, which may be done while the VM runs.
func (h *Host) AttachISO(_ context.Context, req fabricapi.VMFileRef) (fabricapi.VM, error) {
	return h.changeVM(req.GUID, func(_ *tx, v *vm) error {
		if v.ISO != nil {
			return fabricapi.Refuse(fabricapi.InUse, v.ISO.Path, "the DVD drive of VM %s holds %s", v.GUID, v.ISO.Path)
		}
		if err := h.attachable(req.FileRef, fabricapi.ISO); err != nil {
			return err
		}
		iso := req.FileRef
		v.ISO = &iso
		return nil
	})
}

// EjectISO empties the DVD drive.
func (h *Host) EjectISO(_ context.Context, req fabricapi.VMRef) (fabricapi.VM, error) {
	return h.changeVM(req.GUID, func(_ *tx, v *vm) error {
		v.ISO = nil
		return nil
	})
}

// AddNIC adds a network adapter with a static address. Generation 2 VMs take it
// while they run.
func (h *Host) AddNIC(_ context.Context, req fabricapi.AddNICRequest) (fabricapi.VM, error) {
	return h.changeVM(req.GUID, func(_ *tx, v *vm) error {
		if !slices.Contains(v.node().Switches, req.Switch) {
			return fabricapi.Refuse(fabricapi.UnknownSwitch, req.Switch, "host %s has no switch %q", v.Host, req.Switch)
		}
		if mac, err := net.ParseMAC(req.MAC); err != nil || len(mac) != 6 || mac[0]&1 != 0 {
			return fabricapi.Refuse(fabricapi.InvalidParameter, req.MAC, "%q is no unicast MAC address", req.MAC)
		}
		if req.VLAN < 0 || req.VLAN > 4094 {
			return fabricapi.Refuse(fabricapi.InvalidParameter, "", "%d is no VLAN", req.VLAN)
		}
		v.NICs = append(v.NICs, fabricapi.NIC{Switch: req.Switch, VLAN: req.VLAN, MAC: req.MAC})
		return nil
	})
}

// attachable tells whether a file is of a kind, and no VM holds it.
func (h *Host) attachable(ref fabricapi.FileRef, kind fabricapi.FileKind) error {
	file, err := h.file(ref)
	if err != nil {
		return err
	}
	if file.Kind != kind {
		return fabricapi.Refuse(fabricapi.InvalidParameter, ref.Path, "%s is a file of kind %s, not %s", ref.Path, file.Kind, kind)
	}
	if by := h.site.holder(ref); by != nil {
		return fabricapi.Refuse(fabricapi.InUse, ref.Path, "VM %s holds %s", by.GUID, ref.Path)
	}
	return nil
}

// holder returns the VM that holds a file.
func (s *site) holder(ref fabricapi.FileRef) *vm {
	for _, v := range s.vms {
		if v.attached(ref) {
			return v
		}
	}
	return nil
}
