package hyperv

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// bootFirstDisk has the firmware try the first disk before all else. Which order a VM has that nobody gave one is not
// documented, and with a NIC at its head a node would boot whatever the network answers. What else is in the order, such
// as what the guest has put there, stays behind the disk.
func (e *ensuring) bootFirstDisk(ctx context.Context) error {
	if !e.m.off() {
		return nil
	}
	const doing = "order the boot sources"
	first := e.req.Disks[0]
	v, err := e.usableVolume(opEnsure, e.places, first.Volume)
	if err != nil {
		return err
	}
	drive, ok := e.m.driveOf(v.disk(e.id, first.Name))
	if !ok {
		return e.typed("", doing, &wmi.Error{Doing: "find the drive of disk " + first.Name, Code: wmi.CodeNotFound})
	}
	sources, err := e.owner.Related(ctx, drive.Path, wmi.Association{Through: "Msvm_LogicalIdentity", Class: "Msvm_BootSourceSettingData"})
	if err != nil {
		return e.typed("", doing, err)
	}
	if len(sources) == 0 {
		e.Logger.Warn("the host names no boot source for the first disk, so the order of boot sources is left as it is", "vmID", e.id)
		return nil
	}
	now, err := e.owner.Get(ctx, e.m.settings.Path, "BootSourceOrder")
	if err != nil {
		return e.typed("", doing, err)
	}
	order := now.Strings("BootSourceOrder")
	isFirst := func(source string) bool { return sameObject(source, sources[0].Path) }
	if len(order) > 0 && isFirst(order[0]) {
		return nil
	}
	order = append([]string{sources[0].Path}, slices.DeleteFunc(order, isFirst)...)
	text, err := e.owner.Text(ctx, wmi.Draft{Of: e.m.settings.Path, Set: wmi.Values{"BootSourceOrder": order}})
	if err != nil {
		return e.typed("", doing, err)
	}
	return e.typed("", doing, e.manage(ctx, "ModifySystemSettings", wmi.Values{"SystemSettings": text}))
}

// driveOf returns the drive that holds a disk.
func (m *machine) driveOf(path string) (wmi.Instance, bool) {
	for _, drive := range m.of(kindDiskDrive) {
		disk, ok := m.child(drive, kindDisk)
		if ok && slices.ContainsFunc(disk.Strings("HostResource"), func(p string) bool { return samePath(p, path) }) {
			return drive, true
		}
	}
	return wmi.Instance{}, false
}

// adapterID is the GUID by which Windows in a guest knows a NIC, and keeps its addresses. It comes from what the NIC is,
// so that one that was made anew is the same to its guest.
func adapterID(id hostapi.VMID, mac string) string {
	sum := sha256.Sum256([]byte(string(id) + " " + mac))
	// A UUID of version 8, which is whatever its maker says.
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("{%X-%X-%X-%X-%X}", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
