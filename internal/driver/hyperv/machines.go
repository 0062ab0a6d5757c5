package hyperv

import (
	"context"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// machine is a VM as Hyper-V has it on one host, with our stamp in its notes.
type machine struct {
	node     *node
	notes    notes
	guid     string
	settings wmi.Instance
	system   wmi.Instance
	// devices are its settings beside the system's: memory, processor, drives, disks, ports. They are read on demand.
	devices []wmi.Instance
	vlans   map[string]int64
}

// Kinds of a VM's devices, by ResourceSubType, and the ResourceType that goes with each.
const (
	kindController = "Microsoft:Hyper-V:Synthetic SCSI Controller"
	kindDiskDrive  = "Microsoft:Hyper-V:Synthetic Disk Drive"
	kindDVDDrive   = "Microsoft:Hyper-V:Synthetic DVD Drive"
	kindDisk       = "Microsoft:Hyper-V:Virtual Hard Disk"
	kindDVD        = "Microsoft:Hyper-V:Virtual CD/DVD Disk"
	kindPort       = "Microsoft:Hyper-V:Synthetic Ethernet Port"
	kindConnection = "Microsoft:Hyper-V:Ethernet Connection"

	typeController = 6
	typePort       = 10
	typeDVDDrive   = 16
	typeDiskDrive  = 17
	typeMedium     = 31
	typeConnection = 33
)

// States of a VM, by Msvm_ComputerSystem.
const (
	stateEnabled      = 2
	stateDisabled     = 3
	stateShuttingDown = 4
	stateSaved        = 6
	statePaused       = 9

	healthCritical = 25
)

// realized tells VMs' settings from those of checkpoints and plans.
const realized = "Microsoft:Hyper-V:System:Realized"

// machines returns the VMs on a host that bear a stamp.
func (n *node) machines(ctx context.Context) ([]*machine, error) {
	settings, err := n.Query(ctx, wmi.Query{
		Namespace: wmi.Virtualization, Class: "Msvm_VirtualSystemSettingData", Where: wmi.Values{"VirtualSystemType": realized},
		Properties: []string{"InstanceID", "ElementName", "Notes", "VirtualSystemIdentifier", "SecureBootTemplateId"},
	})
	if err != nil {
		return nil, err
	}
	systems, err := n.Query(ctx, wmi.Query{
		Namespace: wmi.Virtualization, Class: "Msvm_ComputerSystem", Properties: []string{"Name", "EnabledState", "HealthState"},
	})
	if err != nil {
		return nil, err
	}
	var out []*machine
	for _, s := range settings {
		said, ours := readNotes(s.Strings("Notes"))
		if !ours {
			continue
		}
		m := &machine{node: n, notes: said, guid: s.String("VirtualSystemIdentifier"), settings: s}
		i := slices.IndexFunc(systems, func(o wmi.Instance) bool { return strings.EqualFold(o.String("Name"), m.guid) })
		if i < 0 {
			// It was removed, or came, between the two questions.
			continue
		}
		m.system = systems[i]
		out = append(out, m)
	}
	return out, nil
}

// load reads the machine's devices.
func (m *machine) load(ctx context.Context) (err error) {
	m.devices, err = m.node.Related(ctx, m.settings.Path, wmi.Association{
		Through: "Msvm_VirtualSystemSettingDataComponent", Class: "CIM_ResourceAllocationSettingData",
		Properties: []string{"InstanceID", "ResourceSubType", "Parent", "AddressOnParent", "Address", "HostResource", "VirtualQuantity"},
	})
	if err != nil {
		return err
	}
	m.vlans = map[string]int64{}
	for _, connection := range m.of(kindConnection) {
		features, err := m.node.Related(ctx, connection.Path, wmi.Association{
			Through: "Msvm_EthernetPortSettingDataComponent", Class: "Msvm_EthernetSwitchPortVlanSettingData", Properties: []string{"AccessVlanId"},
		})
		if err != nil {
			return err
		}
		for _, f := range features {
			m.vlans[connection.Path] = f.Number("AccessVlanId")
		}
	}
	return nil
}

func (m *machine) of(kind string) []wmi.Instance {
	var out []wmi.Instance
	for _, d := range m.devices {
		if d.String("ResourceSubType") == kind {
			out = append(out, d)
		}
	}
	return out
}

// child returns what is attached to a device.
func (m *machine) child(of wmi.Instance, kind string) (wmi.Instance, bool) {
	for _, d := range m.of(kind) {
		if sameObject(d.String("Parent"), of.Path) {
			return d, true
		}
	}
	return wmi.Instance{}, false
}

// sameObject compares paths of objects on one host, whatever that is called in them.
func sameObject(a, b string) bool {
	_, a, _ = strings.Cut(a, ":")
	_, b, _ = strings.Cut(b, ":")
	return strings.EqualFold(a, b)
}

// quantity is how much of memory or processors the machine has.
func (m *machine) quantity(class string) (wmi.Instance, int64) {
	for _, d := range m.devices {
		if d.Class == class {
			return d, d.Number("VirtualQuantity")
		}
	}
	return wmi.Instance{}, 0
}

const (
	classMemory    = "Msvm_MemorySettingData"
	classProcessor = "Msvm_ProcessorSettingData"
)

// attached are the paths of the disks that the machine has.
func (m *machine) attached() []string {
	var out []string
	for _, d := range m.of(kindDisk) {
		out = append(out, d.Strings("HostResource")...)
	}
	return out
}

// dvd returns the file in the machine's DVD drive.
func (m *machine) dvd() (medium wmi.Instance, path string) {
	for _, d := range m.of(kindDVD) {
		if files := d.Strings("HostResource"); len(files) > 0 {
			return d, files[0]
		}
	}
	return wmi.Instance{}, ""
}

// port returns a port, its connection, and the address that it has.
type port struct {
	mac        string
	port       wmi.Instance
	connection wmi.Instance
	// switched is the switch's path, "" if the port is not connected.
	switched string
	vlan     int64
}

func (m *machine) ports() []port {
	var out []port
	for _, d := range m.of(kindPort) {
		p := port{mac: colons(d.String("Address")), port: d}
		if c, ok := m.child(d, kindConnection); ok {
			p.connection, p.vlan = c, m.vlans[c.Path]
			if to := c.Strings("HostResource"); len(to) > 0 {
				p.switched = to[0]
			}
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b port) int { return strings.Compare(a.mac, b.mac) })
	return out
}

// colons is a MAC address as hostapi has it: Hyper-V has neither colons nor lower case.
func colons(address string) string {
	if len(address) != 12 {
		return address
	}
	var parts []string
	for i := 0; i < len(address); i += 2 {
		parts = append(parts, address[i:i+2])
	}
	return strings.ToLower(strings.Join(parts, ":"))
}

func (m *machine) off() bool      { return m.system.Number("EnabledState") == stateDisabled }
func (m *machine) saved() bool    { return m.system.Number("EnabledState") == stateSaved }
func (m *machine) stopping() bool { return m.system.Number("EnabledState") == stateShuttingDown }

// whole tells whether the machine has all the devices that its notes say.
func (m *machine) whole() bool {
	attached, ports := m.attached(), m.ports()
	for _, path := range m.notes.Disks {
		if !slices.ContainsFunc(attached, func(a string) bool { return samePath(a, path) }) {
			return false
		}
	}
	for _, nic := range m.notes.NICs {
		if !slices.ContainsFunc(ports, func(p port) bool {
			return p.mac == nic.MAC && p.switched != "" && p.vlan == int64(nic.VLAN)
		}) {
			return false
		}
	}
	return true
}

// state is what the machine says of itself.
func (m *machine) state() hostapi.State {
	switch m.system.Number("EnabledState") {
	case stateDisabled:
		if !m.whole() {
			return hostapi.StatePartial
		}
		return hostapi.StateOff
	case stateShuttingDown:
		return hostapi.StateStopping
	case stateEnabled:
		if m.system.Number("HealthState") == healthCritical {
			return hostapi.StateFailed
		}
		return hostapi.StateRunning
	case stateSaved, statePaused:
		// Neither is ever asked for: Hyper-V pauses a VM that lost its storage.
		return hostapi.StateFailed
	default:
		// Whatever it is called, it is on its way.
		return hostapi.StateStarting
	}
}
