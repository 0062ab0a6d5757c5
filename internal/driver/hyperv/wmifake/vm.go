package wmifake

import (
	"slices"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// States of a VM, by Msvm_ComputerSystem.EnabledState, and of its health.
const (
	enabled      = 2
	disabled     = 3
	shuttingDown = 4
	saved        = 6

	healthy  = 5
	critical = 25

	heartbeatOK   = 2
	heartbeatNone = 12
	heartbeatLost = 13
)

// vm is a VM: its objects, and what its guest does.
type vm struct {
	system, settings, memory, processor *object
	devices, components                 []*object
	heartbeat, kvp                      *object
	// up tells whether the guest has booted, deaf that it answers nobody any more.
	up, deaf bool
	// power counts how often it changed: what belongs to an earlier one is void.
	power int
	// lost tells that it ran on a node that lost its power.
	lost bool
}

func (v *vm) on() bool {
	return v.system.number("EnabledState") != disabled && v.system.number("EnabledState") != saved
}
func (v *vm) memoryMiB() int64 { return v.memory.number("VirtualQuantity") }

func (v *vm) objects() []*object {
	out := append([]*object{v.system, v.settings, v.memory, v.processor}, v.devices...)
	return append(out, v.components...)
}

func (v *vm) owns(o *object) bool { return slices.Contains(v.objects(), o) }

// disks are the paths of the files that the VM has attached.
func (v *vm) disks() []string {
	var out []string
	for _, d := range v.devices {
		if d.class.Is("Msvm_StorageAllocationSettingData") {
			out = append(out, d.list("HostResource")...)
		}
	}
	return out
}

// pass lets the VM be as it is by now.
func (v *vm) pass(w *World) {
	if v.system.number("EnabledState") == shuttingDown && w.options.Guests == nil {
		w.turn(v, disabled)
	}
	health := int64(healthy)
	for _, path := range v.disks() {
		if volume := w.disk.volume(path); volume != nil && volume.faulty {
			health = critical
		}
	}
	v.system.set("HealthState", health)
	status := int64(heartbeatNone)
	switch {
	case v.up && v.deaf:
		status = heartbeatLost
	case v.up:
		status = heartbeatOK
	}
	v.heartbeat.set("OperationalStatus", []int64{status})
}

// find returns the VM of an object, nil if the object is none's.
func (w *World) find(o *object) (*host, *vm) {
	for _, h := range w.hosts {
		for _, v := range h.vms {
			if v.owns(o) {
				return h, v
			}
		}
	}
	return nil, nil
}

// attached returns the VM that has a file open.
func (w *World) attached(path string) *vm {
	for _, h := range w.hosts {
		for _, v := range h.vms {
			for _, disk := range v.disks() {
				if key(disk) == key(path) && v.on() {
					return v
				}
			}
		}
	}
	return nil
}

// define makes a VM on a host.
func (w *World) define(h *host, settings map[string]any) *vm {
	guid := w.name("3FA0C1D2-0000-0000-0000")
	id := "Microsoft:" + guid
	name, _ := settings["elementname"].(string)
	v := &vm{
		system: h.add(wmi.Virtualization, "Msvm_ComputerSystem", guid, map[string]any{
			"Name": guid, "ElementName": name, "EnabledState": int64(disabled),
		}),
		settings: h.add(wmi.Virtualization, "Msvm_VirtualSystemSettingData", id, map[string]any{
			"InstanceID": id, "VirtualSystemIdentifier": guid, "VirtualSystemType": "Microsoft:Hyper-V:System:Realized",
		}),
		memory: h.add(wmi.Virtualization, "Msvm_MemorySettingData", id+`\memory`, map[string]any{
			"InstanceID": id + `\memory`, "VirtualQuantity": int64(1024), "DynamicMemoryEnabled": true,
		}),
		processor: h.add(wmi.Virtualization, "Msvm_ProcessorSettingData", id+`\processor`, map[string]any{
			"InstanceID": id + `\processor`, "VirtualQuantity": int64(1),
		}),
	}
	for property, value := range settings {
		v.settings.set(property, value)
	}
	for _, class := range []string{"Msvm_HeartbeatComponent", "Msvm_ShutdownComponent", "Msvm_KvpExchangeComponent"} {
		component := h.add(wmi.Virtualization, class, id+`\`+class, nil)
		v.components = append(v.components, component)
		h.link("Msvm_SystemDevice", v.system, component)
	}
	v.heartbeat, v.kvp = v.components[0], v.components[2]
	h.link("Msvm_SettingsDefineState", v.system, v.settings)
	h.link("Msvm_VirtualSystemSettingDataComponent", v.settings, v.memory)
	h.link("Msvm_VirtualSystemSettingDataComponent", v.settings, v.processor)
	h.vms = append(h.vms, v)
	return v
}

// destroy takes a VM away. Its disks stay.
func (w *World) destroy(h *host, v *vm) {
	h.remove(v.objects()...)
	h.vms = slices.DeleteFunc(h.vms, func(other *vm) bool { return other == v })
}
