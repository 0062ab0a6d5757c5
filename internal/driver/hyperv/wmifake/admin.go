package wmifake

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// What follows is what administrators, guests and mishaps do, past the driver.

// VMs returns how many VMs have a text in their notes.
func (w *World) VMs(note string) int {
	w.mu.Lock()
	defer w.unlock()
	return len(w.noted(note))
}

func (w *World) noted(note string) []*vm {
	var out []*vm
	for _, h := range w.hosts {
		for _, v := range h.vms {
			if strings.Contains(strings.Join(v.settings.list("Notes"), ""), note) {
				out = append(out, v)
			}
		}
	}
	return out
}

// Boot lets the guests of VMs come up that have a text in their notes, and have power.
func (w *World) Boot(note string) {
	w.mu.Lock()
	defer w.unlock()
	for _, v := range w.noted(note) {
		v.up = v.on()
	}
}

// Report lets guests report what key-value exchange is given.
func (w *World) Report(note string, items ...string) {
	w.mu.Lock()
	defer w.unlock()
	for _, v := range w.noted(note) {
		v.kvp.set("GuestIntrinsicExchangeItems", items)
	}
}

// Deafen lets guests hang.
func (w *World) Deafen(note string) {
	w.mu.Lock()
	defer w.unlock()
	for _, v := range w.noted(note) {
		v.deaf = true
	}
}

// AddVM makes a VM by hand that runs.
func (w *World) AddVM(node, name string) {
	w.mu.Lock()
	defer w.unlock()
	v := w.define(w.node(node), map[string]any{"elementname": name, "notes": []string{"somebody's"}})
	w.turn(v, enabled)
}

// AddRole makes VMs of a name clustered roles by hand.
func (w *World) AddRole(name string) {
	w.mu.Lock()
	defer w.unlock()
	for _, h := range w.hosts {
		for _, v := range h.vms {
			if v.system.text("ElementName") == name {
				w.cluster.addGroup(w, name, h.name, virtualMachineGroup)
			}
		}
	}
}

// RemoveVM removes VMs by hand, with their roles, and leaves their files.
func (w *World) RemoveVM(note string) {
	w.mu.Lock()
	defer w.unlock()
	for _, v := range w.noted(note) {
		h, _ := w.find(v.system)
		w.turn(v, disabled)
		if w.cluster != nil {
			if role := w.cluster.group(v.system.text("ElementName")); role != nil {
				w.cluster.remove(role)
			}
		}
		w.destroy(h, v)
	}
}

// Migrate moves VMs live to another node: first the cluster says so, and then, if whole is set, it is so.
func (w *World) Migrate(note, node string, whole bool) {
	w.mu.Lock()
	defer w.unlock()
	for _, v := range w.noted(note) {
		from, _ := w.find(v.system)
		to := w.node(node)
		role := w.cluster.group(v.system.text("ElementName"))
		if role == nil {
			// It is not the cluster's to move.
			continue
		}
		role.set("OwnerNode", to.name)
		if whole && from != to {
			to.take(from, v)
		}
	}
}

// Save saves VMs by hand.
func (w *World) Save(note string) {
	w.mu.Lock()
	defer w.unlock()
	for _, v := range w.noted(note) {
		w.turn(v, saved)
	}
}

// Tamper changes a setting of VMs by hand.
func (w *World) Tamper(note, property string, value any) {
	w.mu.Lock()
	defer w.unlock()
	for _, v := range w.noted(note) {
		v.settings.set(property, value)
	}
}

// Setting is what a VM's setting is now.
func (w *World) Setting(note, property string) any {
	w.mu.Lock()
	defer w.unlock()
	for _, v := range w.noted(note) {
		return v.settings.get(property)
	}
	return nil
}

// AddDisk makes a virtual disk by hand, with its folder.
func (w *World) AddDisk(path string) error {
	w.mu.Lock()
	defer w.unlock()
	if err := w.disk.makeFolder(path[:strings.LastIndex(path, `\`)]); err != nil {
		return err
	}
	return w.disk.put(&file{path: path, vhd: &vhd{kind: dynamicDisk, bytes: 1 << 30, fileBytes: emptyDiskBytes}})
}

// RemoveFile removes a file by hand.
func (w *World) RemoveFile(path string) {
	w.mu.Lock()
	defer w.unlock()
	w.disk.remove(path)
}

// FillVolume takes all room on a volume but so much.
func (w *World) FillVolume(root string, left int64) {
	w.mu.Lock()
	defer w.unlock()
	v := w.disk.volume(root)
	v.filled = 0
	v.filled = v.free(w.disk) - left
}

// EmptyVolume gives back what FillVolume took.
func (w *World) EmptyVolume(root string) {
	w.mu.Lock()
	defer w.unlock()
	w.disk.volume(root).filled = 0
}

// FaultVolume lets a volume be gone, or be back.
func (w *World) FaultVolume(root string, faulty bool) {
	w.mu.Lock()
	defer w.unlock()
	w.disk.volume(root).faulty = faulty
}

// Isolate cuts a node off its failover cluster, or joins it again.
func (w *World) Isolate(node string, isolated bool) {
	w.mu.Lock()
	defer w.unlock()
	w.node(node).isolated = isolated
}

// Contents has a sorted line for everything that somebody made.
func (w *World) Contents() []string {
	w.mu.Lock()
	defer w.unlock()
	lines := []string{}
	for _, h := range w.hosts {
		for _, v := range h.vms {
			v.pass(w)
			lines = append(lines, v.String())
		}
	}
	for _, f := range w.disk.files {
		switch {
		case f.folder:
		case f.vhd != nil:
			lines = append(lines, fmt.Sprintf("disk %s %+v", f.path, *f.vhd))
		default:
			lines = append(lines, fmt.Sprintf("file %s read-only=%t %.600q", f.path, f.readOnly, f.content))
		}
	}
	if w.cluster != nil {
		for _, o := range w.cluster.of("MSCluster_ResourceGroup") {
			if o.get("IsCore") == nil {
				lines = append(lines, fmt.Sprintf("role %s type=%d %s", o.text("Name"), o.number("GroupType"), o.text("Description")))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// String says all that was set of a VM, and nothing that is by chance.
func (v *vm) String() string {
	s := v.settings
	var devices []string
	for _, d := range v.devices {
		device := cmp.Or(d.text("ResourceSubType"), d.class.Name)
		for _, property := range []string{"AddressOnParent", "Address"} {
			device += " " + d.text(property)
		}
		if d.class.Is("Msvm_StorageAllocationSettingData") {
			device += fmt.Sprint(d.list("HostResource"))
		}
		if d.class.Is("Msvm_EthernetSwitchPortVlanSettingData") {
			device += fmt.Sprint(" ", d.number("AccessVlanId"))
		}
		devices = append(devices, device)
	}
	slices.Sort(devices)
	return fmt.Sprintf("VM %s %q generation=%s secure=%v %s start=%d checkpoints=%d state=%d cpu=%d memory=%d dynamic=%v devices=%q",
		s.text("ElementName"), s.list("Notes"), s.text("VirtualSystemSubType"), s.get("SecureBootEnabled"), s.text("SecureBootTemplateId"),
		s.number("AutomaticStartupAction"), s.number("UserSnapshotType"), v.system.number("EnabledState"),
		v.processor.number("VirtualQuantity"), v.memory.number("VirtualQuantity"), v.memory.get("DynamicMemoryEnabled"), devices)
}
