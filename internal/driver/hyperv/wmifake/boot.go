package wmifake

import (
	"slices"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// Kinds of boot sources.
const (
	bootDrive   = 1
	bootNetwork = 2
)

// addBootSource makes a device a boot source of its VM, if one can boot from it. What came last is tried first: which order
// Hyper-V gives is not documented, and a driver must not rely on a kind one.
func (c *call) addBootSource(v *vm, device *object) {
	kind := int64(bootDrive)
	switch device.text("ResourceSubType") {
	case "Microsoft:Hyper-V:Synthetic Disk Drive", "Microsoft:Hyper-V:Synthetic DVD Drive":
	case "Microsoft:Hyper-V:Synthetic Ethernet Port":
		kind = bootNetwork
	default:
		return
	}
	id := device.text("InstanceID") + `\boot`
	source := c.graph.add(wmi.Virtualization, "Msvm_BootSourceSettingData", id, map[string]any{"InstanceID": id, "BootSourceType": kind})
	v.components = append(v.components, source)
	c.graph.link("Msvm_LogicalIdentity", device, source)
	c.graph.link("Msvm_BootSourceComponent", v.settings, source)
	v.settings.set("BootSourceOrder", append([]string{source.path}, v.settings.list("BootSourceOrder")...))
}

// bootable tells whether a list is an order of the VM's own boot sources.
func (g *graph) bootable(v *vm, order []string) bool {
	return !slices.ContainsFunc(order, func(path string) bool {
		o := g.find(path)
		return o == nil || !o.class.Is("Msvm_BootSourceSettingData") || !slices.Contains(v.components, o)
	})
}

// BootFile is the file from which VMs boot that have a text in their notes: "" is the network, or nothing.
func (w *World) BootFile(note string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.noted(note) {
		return w.bootFile(v)
	}
	return ""
}

// bootFile is the file in the first boot source. That firmware goes on to the next one is not modelled: something may
// answer on the network.
func (w *World) bootFile(v *vm) string {
	h, _ := w.find(v.system)
	order := v.settings.list("BootSourceOrder")
	if len(order) == 0 {
		return ""
	}
	for _, device := range h.related(h.find(order[0]), "Msvm_LogicalIdentity", "CIM_ResourceAllocationSettingData") {
		for _, medium := range v.sameParent(device.path) {
			if files := medium.list("HostResource"); len(files) == 1 && medium.class.Is("Msvm_StorageAllocationSettingData") {
				return files[0]
			}
		}
	}
	return ""
}

// Adapters are the GUIDs by which guests know the NICs of VMs that have a text in their notes.
func (w *World) Adapters(note string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, v := range w.noted(note) {
		for _, d := range v.devices {
			out = append(out, d.list("VirtualSystemIdentifiers")...)
		}
	}
	return out
}
