package wmifake

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// behaviours are the methods that the driver may call, by their names: no two of them share one.
var behaviours = map[string]behaviour{
	"DefineSystem":                  defineSystem,
	"DestroySystem":                 destroySystem,
	"ModifySystemSettings":          modifySystemSettings,
	"AddResourceSettings":           addResourceSettings,
	"ModifyResourceSettings":        modifyResourceSettings,
	"RemoveResourceSettings":        removeResourceSettings,
	"AddFeatureSettings":            addFeatureSettings,
	"RequestStateChange":            requestStateChange,
	"InitiateShutdown":              initiateShutdown,
	"CreateVirtualHardDisk":         createVirtualHardDisk,
	"ResizeVirtualHardDisk":         resizeVirtualHardDisk,
	"GetVirtualHardDiskSettingData": getVirtualHardDiskSettingData,
	"CreateGroup":                   createGroup,
	"DestroyGroup":                  destroyGroup,
	"AddVirtualMachine":             addVirtualMachine,
}

func defineSystem(c *call) error {
	d, ok := read(wmi.Virtualization, c.text("SystemSettings"), "Msvm_VirtualSystemSettingData")
	if !ok || d.text("ElementName") == "" || len(d.text("ElementName")) > 100 {
		return c.refuse(wmi.InvalidParameter)
	}
	if c.world.disk.volume(d.text("ConfigurationDataRoot")) == nil {
		return c.fail(wmi.Failed, message("The system cannot find the path specified", wmi.CausePathNotFound))
	}
	v := c.world.define(c.host, d.values)
	c.results["resultingsystem"] = v.system.path
	return nil
}

func destroySystem(c *call) error {
	o := c.graph.find(c.text("AffectedSystem"))
	if o == nil {
		return errBadIn
	}
	h, v := c.world.find(o)
	switch {
	case v == nil || o != v.system:
		return c.refuse(wmi.InvalidParameter)
	case v.on():
		return c.refuse(wmi.InvalidState)
	}
	c.world.destroy(h, v)
	return nil
}

// offline are settings of a VM that only one without power takes.
var offline = []string{"secureboottemplateid", "securebootenabled", "virtualsystemsubtype", "bootsourceorder"}

func modifySystemSettings(c *call) error {
	d, ok := read(wmi.Virtualization, c.text("SystemSettings"), "Msvm_VirtualSystemSettingData")
	if !ok {
		return c.refuse(wmi.InvalidParameter)
	}
	for _, v := range c.host.vms {
		if v.settings.text("InstanceID") != d.text("InstanceID") {
			continue
		}
		for _, property := range offline {
			if v.on() && d.values[property] != nil && !reflect.DeepEqual(d.values[property], v.settings.values[property]) {
				return c.refuse(wmi.InvalidState)
			}
		}
		if !c.graph.bootable(v, d.list("BootSourceOrder")) {
			return c.refuse(wmi.InvalidParameter)
		}
		maps.Copy(v.settings.values, d.values)
		v.system.set("ElementName", d.text("ElementName"))
		return nil
	}
	return c.refuse(wmi.InvalidParameter)
}

func modifyResourceSettings(c *call) error {
	for _, text := range c.list("ResourceSettings") {
		d, ok := read(wmi.Virtualization, text, "CIM_ResourceAllocationSettingData")
		if !ok {
			return c.refuse(wmi.InvalidParameter)
		}
		i := slices.IndexFunc(c.graph.objects, func(o *object) bool { return o.text("InstanceID") == d.text("InstanceID") })
		if i < 0 {
			return c.refuse(wmi.InvalidParameter)
		}
		o := c.graph.objects[i]
		_, v := c.world.find(o)
		switch {
		case v == nil:
			return c.refuse(wmi.InvalidParameter)
		case o == v.processor && (d.number("VirtualQuantity") < 1 || d.number("VirtualQuantity") > c.world.options.Processors),
			o == v.memory && d.number("VirtualQuantity")%2 != 0:
			return c.refuse(wmi.InvalidParameter)
		case v.on() && d.number("VirtualQuantity") != o.number("VirtualQuantity"):
			return c.refuse(wmi.InvalidState)
		}
		maps.Copy(o.values, d.values)
	}
	return nil
}

func requestStateChange(c *call) error {
	_, v := c.world.find(c.self)
	if v == nil || c.self != v.system {
		return c.refuse(wmi.NotSupported)
	}
	switch c.number("RequestedState") {
	case enabled:
		return c.start(v)
	case disabled:
		c.world.turn(v, disabled)
		return nil
	default:
		return c.refuse(wmi.InvalidParameter)
	}
}

func (c *call) start(v *vm) error {
	if v.on() {
		return c.refuse(wmi.InvalidState)
	}
	if v.memoryMiB() > c.host.free(c.world) {
		return c.fail(wmi.Failed, message("Not enough memory in the system to start the virtual machine", wmi.CauseNoMemory))
	}
	for _, path := range v.disks() {
		if _, err := c.world.disk.at(path); err != nil {
			return c.fail(wmi.Failed, message("The system cannot find the file specified", wmi.CauseFileNotFound))
		}
	}
	c.world.turn(v, enabled)
	return nil
}

// initiateShutdown asks the guest. One that has not booted has nobody to ask, one that hangs does nothing.
func initiateShutdown(c *call) error {
	_, v := c.world.find(c.self)
	switch {
	case v == nil || !c.self.class.Is("Msvm_ShutdownComponent"):
		return c.refuse(wmi.NotSupported)
	case !v.up:
		return c.refuse(wmi.InvalidState)
	case !v.deaf:
		v.system.set("EnabledState", int64(shuttingDown))
		v.up = false
		if guests := c.world.options.Guests; guests != nil {
			guests.ShutDown(v.guid())
		}
	}
	return nil
}

func removeResourceSettings(c *call) error {
	for _, path := range c.list("ResourceSettings") {
		o := c.graph.find(path)
		if o == nil {
			return errBadIn
		}
		_, v := c.world.find(o)
		if v == nil || !slices.Contains(v.devices, o) {
			return c.refuse(wmi.InvalidParameter)
		}
		v.devices = slices.DeleteFunc(v.devices, func(d *object) bool { return d == o })
		c.graph.remove(o)
	}
	return nil
}

func addFeatureSettings(c *call) error {
	to := c.graph.find(c.text("AffectedConfiguration"))
	if to == nil {
		return errBadIn
	}
	_, v := c.world.find(to)
	if v == nil || !to.class.Is("Msvm_EthernetPortAllocationSettingData") {
		return c.refuse(wmi.InvalidParameter)
	}
	for _, text := range c.list("FeatureSettings") {
		d, ok := read(wmi.Virtualization, text, "Msvm_EthernetSwitchPortVlanSettingData")
		if !ok || d.number("OperationMode") != 1 || d.number("AccessVlanId") < 1 || d.number("AccessVlanId") > 4094 {
			return c.refuse(wmi.InvalidParameter)
		}
		if len(c.graph.related(to, "Msvm_EthernetPortSettingDataComponent", d.class.Name)) > 0 {
			// A port has one VLAN; another is a change of it.
			return c.refuse(wmi.InvalidState)
		}
		id := to.text("InstanceID") + `\` + c.world.name("vlan")
		feature := c.graph.add(wmi.Virtualization, d.class.Name, id, nil)
		maps.Copy(feature.values, d.values)
		feature.set("InstanceID", id)
		v.devices = append(v.devices, feature)
		c.graph.link("Msvm_EthernetPortSettingDataComponent", to, feature)
	}
	return nil
}

// sameParent are the devices of a VM that are attached to one.
func (v *vm) sameParent(parent string) []*object {
	return slices.DeleteFunc(slices.Clone(v.devices), func(d *object) bool { return !strings.EqualFold(d.text("Parent"), parent) })
}
