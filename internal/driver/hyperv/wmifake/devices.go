package wmifake

import (
	"maps"
	"slices"
	"strconv"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// Kinds of devices, by ResourceSubType, with the ResourceType that each has.
var subTypes = map[string]int64{
	"Microsoft:Hyper-V:Synthetic SCSI Controller": 6,
	"Microsoft:Hyper-V:Synthetic Disk Drive":      17,
	"Microsoft:Hyper-V:Synthetic DVD Drive":       16,
	"Microsoft:Hyper-V:Virtual Hard Disk":         31,
	"Microsoft:Hyper-V:Virtual CD/DVD Disk":       31,
	"Microsoft:Hyper-V:Synthetic Ethernet Port":   10,
	"Microsoft:Hyper-V:Ethernet Connection":       33,
}

// parents are the kinds that a device is attached to.
var parents = map[string]string{
	"Microsoft:Hyper-V:Synthetic Disk Drive": "Microsoft:Hyper-V:Synthetic SCSI Controller",
	"Microsoft:Hyper-V:Synthetic DVD Drive":  "Microsoft:Hyper-V:Synthetic SCSI Controller",
	"Microsoft:Hyper-V:Virtual Hard Disk":    "Microsoft:Hyper-V:Synthetic Disk Drive",
	"Microsoft:Hyper-V:Virtual CD/DVD Disk":  "Microsoft:Hyper-V:Synthetic DVD Drive",
	"Microsoft:Hyper-V:Ethernet Connection":  "Microsoft:Hyper-V:Synthetic Ethernet Port",
}

// classes are what each kind is an instance of.
var classes = map[string]string{
	"Microsoft:Hyper-V:Synthetic SCSI Controller": "Msvm_ResourceAllocationSettingData",
	"Microsoft:Hyper-V:Synthetic Disk Drive":      "Msvm_ResourceAllocationSettingData",
	"Microsoft:Hyper-V:Synthetic DVD Drive":       "Msvm_ResourceAllocationSettingData",
	"Microsoft:Hyper-V:Virtual Hard Disk":         "Msvm_StorageAllocationSettingData",
	"Microsoft:Hyper-V:Virtual CD/DVD Disk":       "Msvm_StorageAllocationSettingData",
	"Microsoft:Hyper-V:Synthetic Ethernet Port":   "Msvm_SyntheticEthernetPortSettingData",
	"Microsoft:Hyper-V:Ethernet Connection":       "Msvm_EthernetPortAllocationSettingData",
}

func addResourceSettings(c *call) error {
	to := c.graph.find(c.text("AffectedConfiguration"))
	if to == nil {
		return errBadIn
	}
	_, v := c.world.find(to)
	if v == nil || to != v.settings {
		return c.refuse(wmi.InvalidParameter)
	}
	for _, text := range c.list("ResourceSettings") {
		d, ok := read(wmi.Virtualization, text, "CIM_ResourceAllocationSettingData")
		if !ok || !c.fits(v, d) {
			return c.refuse(wmi.InvalidParameter)
		}
		if refusal := c.resources(d); refusal != nil {
			c.failure = refusal
			return nil
		}
		kind := d.text("ResourceSubType")
		if v.on() && kind == "Microsoft:Hyper-V:Synthetic SCSI Controller" {
			return c.refuse(wmi.InvalidState)
		}
		id := v.settings.text("InstanceID") + `\` + c.world.name("device")
		device := c.graph.add(wmi.Virtualization, d.class.Name, id, nil)
		maps.Copy(device.values, d.values)
		device.set("InstanceID", id)
		v.devices = append(v.devices, device)
		c.graph.link("Msvm_VirtualSystemSettingDataComponent", v.settings, device)
		c.addBootSource(v, device)
		c.results["resultingresourcesettings"] = []string{device.path}
	}
	return nil
}

// fits tells whether a device is one, and whether there is a place for it.
func (c *call) fits(v *vm, d draft) bool {
	kind := d.text("ResourceSubType")
	if subTypes[kind] == 0 || subTypes[kind] != d.number("ResourceType") || classes[kind] != d.class.Name {
		return false
	}
	if kind == "Microsoft:Hyper-V:Synthetic Ethernet Port" && (!d.get("StaticMacAddress").(bool) || len(d.text("Address")) != 12) {
		return false
	}
	parent, attached := parents[kind]
	if !attached {
		return d.text("Parent") == ""
	}
	o := c.graph.find(d.text("Parent"))
	if o == nil || !v.owns(o) || o.text("ResourceSubType") != parent {
		return false
	}
	others := v.sameParent(d.text("Parent"))
	if parent != "Microsoft:Hyper-V:Synthetic SCSI Controller" {
		return len(others) == 0
	}
	slot, err := strconv.Atoi(d.text("AddressOnParent"))
	return err == nil && slot >= 0 && slot < 64 &&
		!slices.ContainsFunc(others, func(o *object) bool { return o.text("AddressOnParent") == d.text("AddressOnParent") })
}

// resources looks at what of the host a device uses.
func (c *call) resources(d draft) *failure {
	absent := &failure{wmi.Failed, message("The system cannot find the file specified", wmi.CauseFileNotFound)}
	for _, resource := range d.list("HostResource") {
		switch d.text("ResourceSubType") {
		case "Microsoft:Hyper-V:Virtual Hard Disk":
			f, err := c.world.disk.at(resource)
			if err != nil || f.vhd == nil {
				return absent
			}
			for _, h := range c.world.hosts {
				for _, other := range h.vms {
					if slices.ContainsFunc(other.disks(), func(path string) bool { return key(path) == key(resource) }) {
						return &failure{wmi.SystemInUse, message("The file is in use by another process", wmi.CauseSharing)}
					}
				}
			}
		case "Microsoft:Hyper-V:Virtual CD/DVD Disk":
			if f, err := c.world.disk.at(resource); err != nil || f.folder {
				return absent
			}
		case "Microsoft:Hyper-V:Ethernet Connection":
			if o := c.graph.find(resource); o == nil || !o.class.Is("Msvm_VirtualEthernetSwitch") {
				return absent
			}
		}
	}
	if kind := d.text("ResourceSubType"); parents[kind] != "" && parents[kind] != "Microsoft:Hyper-V:Synthetic SCSI Controller" && len(d.list("HostResource")) != 1 {
		return absent
	}
	return nil
}
