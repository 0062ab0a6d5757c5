package hyperv

import (
	"context"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Kinds of virtual disks, by Msvm_VirtualHardDiskSettingData.
const (
	diskDynamic      = 3
	diskDifferencing = 4
	formatVHDX       = 3
)

func (e *ensuring) makeDisks(ctx context.Context) error {
	for _, want := range e.req.Disks {
		if err := e.checkDisk(want); err != nil {
			return err
		}
	}
	for _, want := range e.req.Disks {
		v, err := e.usableVolume(opEnsure, e.places, want.Volume)
		if err != nil {
			return err
		}
		have, err := e.createDisk(ctx, v, want)
		if err != nil {
			return err
		}
		if err := e.growDisk(ctx, v, want, have); err != nil {
			return err
		}
	}
	return nil
}

// recorded returns what a disk was made as, and whether its file is there.
func (f *folder) recorded(name string) (record diskRecord, begun, there bool) {
	if f == nil || f.record == nil {
		return diskRecord{}, false, false
	}
	record, begun = f.record.Disks[name]
	return record, begun, begun && f.entry(name+diskSuffix) != nil
}

// checkDisk refuses to make of a disk what cannot be made of it.
func (e *ensuring) checkDisk(want hostapi.Disk) error {
	for _, f := range e.folders {
		if _, _, there := f.recorded(want.Name); there && f.volume.name != want.Volume {
			return e.conflict(f.volume.name, "disk %s is on volume %s and cannot move to %s", want.Name, f.volume.name, want.Volume)
		}
	}
	have, _, there := e.folder(want.Volume).recorded(want.Name)
	switch {
	case there && have.Image != parentOf(want):
		return e.conflict("", "disk %s was made from another image", want.Name)
	case there && want.Bytes != 0 && want.Bytes < have.Bytes:
		return e.conflict("", "disk %s has %d bytes and cannot shrink to %d", want.Name, have.Bytes, want.Bytes)
	}
	return nil
}

func parentOf(want hostapi.Disk) string {
	if want.Image == nil {
		return ""
	}
	return want.Image.SHA256
}

// createDisk makes a disk unless it is there. The record comes first: a file without one is somebody else's.
func (e *ensuring) createDisk(ctx context.Context, v volume, want hostapi.Disk) (diskRecord, error) {
	f := e.folder(v.name)
	have, begun, there := f.recorded(want.Name)
	if there {
		return have, nil
	}
	path := v.disk(e.id, want.Name)
	if e.m != nil && slices.ContainsFunc(e.m.attached(), func(a string) bool { return samePath(a, path) }) {
		// Its file cannot be seen: a new one would be an empty disk in its place.
		return diskRecord{}, hostapi.Errorf(hostapi.VolumeFaulted, opEnsure, v.name, "VM %s: disk %s is gone from volume %s", e.id, want.Name, v.name)
	}
	if f != nil && !begun && f.entry(want.Name+diskSuffix) != nil {
		return diskRecord{}, hostapi.Errorf(hostapi.NotOwned, opEnsure, v.name, "VM %s: %s is somebody else's", e.id, path)
	}
	settings := wmi.Values{"Path": path, "Format": formatVHDX}
	made := diskRecord{Bytes: want.Bytes, Image: parentOf(want)}
	if want.Image == nil {
		settings["Type"], settings["MaxInternalSize"] = diskDynamic, wmi.Number64(want.Bytes)
	} else {
		image, err := getJSON[imageRecord](e.Files, v.imageRecord(want.Image.SHA256))
		if err != nil {
			return diskRecord{}, e.typed(v.name, "find the image", err)
		}
		_, err = e.Files.Stat(v.image(want.Image.SHA256))
		if err != nil && !gone(err) {
			return diskRecord{}, e.typed(v.name, "find the image", err)
		}
		if image == nil || err != nil {
			return diskRecord{}, e.conflict(want.Image.SHA256, "image %s is not staged on volume %s", want.Image.Name, v.name)
		}
		if want.Bytes != 0 && want.Bytes < image.Bytes {
			return diskRecord{}, hostapi.Errorf(hostapi.InvalidArgument, opEnsure, "", "VM %s: disk %s has %d bytes, and its image %d", e.id, want.Name, want.Bytes, image.Bytes)
		}
		// It is as large as its parent until it is resized.
		settings["Type"], settings["ParentPath"], made.Bytes = diskDifferencing, v.image(want.Image.SHA256), image.Bytes
	}
	if err := e.makeFolder(v, func(all map[string]diskRecord) { all[want.Name] = made }); err != nil {
		return diskRecord{}, err
	}
	service, err := e.owner.only(ctx, wmi.Virtualization, "Msvm_ImageManagementService")
	if err != nil {
		return diskRecord{}, e.typed(v.name, "create disk "+want.Name, err)
	}
	text, err := e.owner.Text(ctx, wmi.Draft{Namespace: wmi.Virtualization, Class: "Msvm_VirtualHardDiskSettingData", Set: settings})
	if err != nil {
		return diskRecord{}, e.typed(v.name, "create disk "+want.Name, err)
	}
	_, err = e.owner.Run(ctx, service, "CreateVirtualHardDisk", wmi.Values{"VirtualDiskSettingData": text})
	return made, e.typed(v.name, "create disk "+want.Name, err)
}

// growDisk makes a disk larger, and then says so in its record. One that was cut off in between has grown already.
func (e *ensuring) growDisk(ctx context.Context, v volume, want hostapi.Disk, have diskRecord) error {
	if want.Bytes <= have.Bytes {
		return nil
	}
	doing, path := "grow disk "+want.Name, v.disk(e.id, want.Name)
	is, err := e.owner.virtualBytes(ctx, path)
	if err != nil {
		return e.typed(v.name, doing, err)
	}
	if is < want.Bytes {
		service, err := e.owner.only(ctx, wmi.Virtualization, "Msvm_ImageManagementService")
		if err != nil {
			return e.typed(v.name, doing, err)
		}
		_, err = e.owner.Run(ctx, service, "ResizeVirtualHardDisk", wmi.Values{"Path": path, "MaxInternalSize": wmi.Number64(want.Bytes)})
		if err != nil {
			return e.typed(v.name, doing, err)
		}
	}
	have.Bytes = want.Bytes
	return e.makeFolder(v, func(all map[string]diskRecord) { all[want.Name] = have })
}

// virtualBytes is the size of a virtual disk, by Hyper-V itself.
func (n *node) virtualBytes(ctx context.Context, path string) (int64, error) {
	service, err := n.only(ctx, wmi.Virtualization, "Msvm_ImageManagementService")
	if err != nil {
		return 0, err
	}
	out, err := n.Run(ctx, service, "GetVirtualHardDiskSettingData", wmi.Values{"Path": path}, "SettingData")
	if err != nil {
		return 0, err
	}
	_, settings, err := wmi.ParseText(out.String("SettingData"))
	if err != nil {
		return 0, err
	}
	if bytes := settings.Number("MaxInternalSize"); bytes > 0 {
		return bytes, nil
	}
	return 0, &wmi.Refusal{Method: "Msvm_ImageManagementService.GetVirtualHardDiskSettingData", Code: wmi.Failed, Message: "it is a disk of no size"}
}

// attachDisks gives the VM its controller, drives and disks.
func (e *ensuring) attachDisks(ctx context.Context) error {
	if len(e.m.of(kindController)) == 0 {
		if err := e.add(ctx, "Msvm_ResourceAllocationSettingData", typeController, kindController, nil); err != nil {
			return e.typed("", "add the controller", err)
		}
	}
	for i, want := range e.req.Disks {
		v, err := e.usableVolume(opEnsure, e.places, want.Volume)
		if err != nil {
			return err
		}
		path := v.disk(e.id, want.Name)
		if slices.ContainsFunc(e.m.attached(), func(a string) bool { return samePath(a, path) }) {
			continue
		}
		drive, err := e.drive(ctx, i, typeDiskDrive, kindDiskDrive, kindDisk)
		if err != nil {
			return e.typed(v.name, "add a drive for disk "+want.Name, err)
		}
		err = e.add(ctx, "Msvm_StorageAllocationSettingData", typeMedium, kindDisk, wmi.Values{"Parent": drive.Path, "HostResource": []string{path}})
		if err != nil {
			return e.typed(v.name, "attach disk "+want.Name, err)
		}
	}
	return nil
}

// drive returns a drive with nothing in it: that of the slot, or a free one that was left, or a new one.
func (e *ensuring) drive(ctx context.Context, slot, kindNumber int, kind, medium string) (wmi.Instance, error) {
	for range 2 {
		for _, d := range e.m.of(kind) {
			if _, used := e.m.child(d, medium); !used {
				return d, nil
			}
		}
		controllers := e.m.of(kindController)
		if len(controllers) == 0 {
			break
		}
		err := e.add(ctx, "Msvm_ResourceAllocationSettingData", kindNumber, kind, wmi.Values{
			"Parent": controllers[0].Path, "AddressOnParent": wmi.Number64(int64(e.freeSlot(slot))),
		})
		if err != nil {
			return wmi.Instance{}, err
		}
	}
	return wmi.Instance{}, &wmi.Error{Doing: "find the drive that was added", Code: wmi.CodeNotFound}
}

// freeSlot is the wanted place on the controller, or the first that is free.
func (e *ensuring) freeSlot(wanted int) int {
	taken := func(slot int) bool {
		return slices.ContainsFunc(e.m.devices, func(d wmi.Instance) bool {
			kind := d.String("ResourceSubType")
			return (kind == kindDiskDrive || kind == kindDVDDrive) && strings.TrimSpace(d.String("AddressOnParent")) == wmi.Number64(int64(slot))
		})
	}
	if !taken(wanted) {
		return wanted
	}
	for slot := range dvdSlot {
		if !taken(slot) {
			return slot
		}
	}
	return wanted
}

// add adds a device and reads the VM's devices again: of one that was added by a job, the method tells nothing.
func (e *ensuring) add(ctx context.Context, class string, kindNumber int, kind string, set wmi.Values) error {
	values := wmi.Values{"ResourceType": kindNumber, "ResourceSubType": kind}
	for name, value := range set {
		values[name] = value
	}
	text, err := e.owner.Text(ctx, wmi.Draft{Namespace: wmi.Virtualization, Class: class, Set: values})
	if err != nil {
		return err
	}
	if err := e.manage(ctx, "AddResourceSettings", wmi.Values{
		"AffectedConfiguration": e.m.settings.Path, "ResourceSettings": []string{text},
	}); err != nil {
		return err
	}
	return e.m.load(ctx)
}

// manage calls a method of the service that manages VMs.
func (e *ensuring) manage(ctx context.Context, method string, in wmi.Values) error {
	service, err := e.owner.only(ctx, wmi.Virtualization, "Msvm_VirtualSystemManagementService")
	if err != nil {
		return err
	}
	_, err = e.owner.Run(ctx, service, method, in)
	return err
}
