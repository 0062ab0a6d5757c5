package hyperv

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const (
	generation2 = "Microsoft:Hyper-V:SubType:2"
	// What boot loaders are signed for.
	secureBootUEFI    = "272e7447-90a4-4563-a4b9-8e4ab00526ce"
	secureBootWindows = "1734c6e8-3154-4dda-ba5f-a874cc483422"

	// startNever leaves starting to the agent, which honours tombstones first, and to the failover cluster.
	startNever = 2
	// stopGuest shuts guests down when the host is.
	stopGuest = 4
	// noCheckpoints keeps boot disks what they are: differencing disks of an image, and nothing between.
	noCheckpoints = 2
	// maxName is the longest name of a VM that Hyper-V takes.
	maxName = 100
)

func secureBoot(os hostapi.OS) string {
	if os == hostapi.Windows {
		return secureBootWindows
	}
	return secureBootUEFI
}

// elementName is what Hyper-V's tools show. The ID at its end makes it one of a kind, and so the name of its
// clustered role.
func elementName(req hostapi.EnsureVMRequest) string {
	name := req.Name
	if longest := maxName - len(req.Stamp.ID) - 1; len(name) > longest {
		name = strings.ToValidUTF8(name[:max(longest, 0)], "")
	}
	return name + " " + string(req.Stamp.ID)
}

// notes are what the VM's notes shall say. What was made once stays until the VM goes, as a request may name less.
func (e *ensuring) notes() notes {
	n := notes{Stamp: e.req.Stamp, Name: e.req.Name, Owner: e.req.Owner, OS: e.req.OS, NICs: e.req.NICs}
	for _, want := range e.req.Disks {
		for _, v := range e.places {
			if v.name == want.Volume {
				n.Disks = append(n.Disks, v.disk(e.id, want.Name))
			}
		}
	}
	if e.m == nil {
		return n
	}
	for _, path := range e.m.notes.Disks {
		if !slices.ContainsFunc(n.Disks, func(p string) bool { return samePath(p, path) }) {
			n.Disks = append(n.Disks, path)
		}
	}
	for _, nic := range e.m.notes.NICs {
		if !slices.ContainsFunc(n.NICs, func(other hostapi.NIC) bool { return other.MAC == nic.MAC }) {
			n.NICs = append(slices.Clip(n.NICs), nic)
		}
	}
	return n
}

// configure makes the VM or changes its settings.
func (e *ensuring) configure(ctx context.Context) error {
	if err := e.checkNICs(); err != nil {
		return err
	}
	if e.m == nil {
		if err := e.define(ctx); err != nil {
			return e.typed("", "define the configuration", err)
		}
	}
	if err := e.resources(ctx); err != nil {
		return e.typed("", "change the settings", err)
	}
	return e.typed("", "change the settings", e.modify(ctx))
}

func (e *ensuring) define(ctx context.Context) error {
	v, err := e.usableVolume(opEnsure, e.places, e.req.Disks[0].Volume)
	if err != nil {
		return err
	}
	root := v.folder(e.id)
	text, err := e.owner.Text(ctx, wmi.Draft{Namespace: wmi.Virtualization, Class: "Msvm_VirtualSystemSettingData", Set: wmi.Values{
		"ElementName": elementName(e.req), "Notes": []string{encode(e.notes())}, "VirtualSystemSubType": generation2,
		"ConfigurationDataRoot": root, "SnapshotDataRoot": root, "SwapFileDataRoot": root, "SuspendDataRoot": root,
		"SecureBootEnabled": true, "SecureBootTemplateId": secureBoot(e.req.OS),
		"AutomaticStartupAction": startNever, "AutomaticShutdownAction": stopGuest,
		"UserSnapshotType": noCheckpoints, "AutomaticSnapshotsEnabled": false,
	}})
	if err != nil {
		return err
	}
	if err := e.manage(ctx, "DefineSystem", wmi.Values{"SystemSettings": text}); err != nil {
		return err
	}
	// A job does not tell which VM it made, and the stamp does.
	found, err := e.owner.machines(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(found, func(m *machine) bool { return m.notes.Stamp == e.req.Stamp })
	if i < 0 {
		return &wmi.Error{Doing: "find the VM that was defined", Code: wmi.CodeNotFound}
	}
	e.m = found[i]
	return e.m.load(ctx)
}

// resources sets processors and memory.
func (e *ensuring) resources(ctx context.Context) error {
	var drafts []string
	for class, want := range map[string]wmi.Values{
		classProcessor: {"VirtualQuantity": wmi.Number64(int64(e.req.Processors))},
		// Kubelets count the memory once, so it stays what it is.
		classMemory: {
			"VirtualQuantity": wmi.Number64(e.req.MemoryMiB), "Reservation": wmi.Number64(e.req.MemoryMiB), "Limit": wmi.Number64(e.req.MemoryMiB),
			"DynamicMemoryEnabled": false,
		},
	} {
		device, have := e.m.quantity(class)
		if device.Path == "" {
			return &wmi.Error{Doing: "find the " + class, Code: wmi.CodeNotFound}
		}
		if wmi.Number64(have) == want["VirtualQuantity"] {
			continue
		}
		if !e.m.off() {
			return e.conflict("", "processors and memory can be changed when the VM is off")
		}
		text, err := e.owner.Text(ctx, wmi.Draft{Of: device.Path, Set: want})
		if err != nil {
			return err
		}
		drafts = append(drafts, text)
	}
	if len(drafts) == 0 {
		return nil
	}
	slices.Sort(drafts)
	if err := e.manage(ctx, "ModifyResourceSettings", wmi.Values{"ResourceSettings": drafts}); err != nil {
		return err
	}
	return e.m.load(ctx)
}

// modify brings the notes in step, and takes back what somebody changed of the name, and of secure boot once the VM is
// off.
func (e *ensuring) modify(ctx context.Context) error {
	want := e.notes()
	set := wmi.Values{}
	if encode(want) != encode(e.m.notes) {
		set["Notes"] = []string{encode(want)}
	}
	if !strings.HasSuffix(e.m.settings.String("ElementName"), " "+string(e.id)) {
		set["ElementName"] = elementName(e.req)
	}
	if template := secureBoot(e.req.OS); e.m.off() && !strings.EqualFold(e.m.settings.String("SecureBootTemplateId"), template) {
		set["SecureBootEnabled"], set["SecureBootTemplateId"] = true, template
	}
	if len(set) == 0 {
		return nil
	}
	text, err := e.owner.Text(ctx, wmi.Draft{Of: e.m.settings.Path, Set: set})
	if err != nil {
		return err
	}
	if err := e.manage(ctx, "ModifySystemSettings", wmi.Values{"SystemSettings": text}); err != nil {
		return err
	}
	e.m.notes = want
	if name := set.String("ElementName"); name != "" {
		e.m.settings.Values["ElementName"] = name
	}
	return nil
}

// checkNICs refuses to move a NIC.
func (e *ensuring) checkNICs() error {
	if e.m == nil {
		return nil
	}
	for _, want := range e.req.NICs {
		i := slices.IndexFunc(e.m.notes.NICs, func(n hostapi.NIC) bool { return n.MAC == want.MAC })
		if i < 0 || e.m.notes.NICs[i] == want {
			continue
		}
		if p := e.port(want.MAC); p == nil || p.switched == "" {
			// It was never connected: what its notes say can still be put right.
			continue
		}
		have := e.m.notes.NICs[i]
		return e.conflict(want.Switch, "NIC %s is on switch %s with VLAN %d, not on %s with %d", want.MAC, have.Switch, have.VLAN, want.Switch, want.VLAN)
	}
	return nil
}

func (e *ensuring) port(mac string) *port {
	for _, p := range e.m.ports() {
		if p.mac == mac {
			return &p
		}
	}
	return nil
}

// connect gives the VM its NICs: a port, its connection to a switch, and the VLAN of that.
func (e *ensuring) connect(ctx context.Context) error {
	for _, want := range e.req.NICs {
		if err := e.connectNIC(ctx, want); err != nil {
			return e.typed("", fmt.Sprintf("connect NIC %s to switch %s", want.MAC, want.Switch), err)
		}
	}
	return nil
}

func (e *ensuring) connectNIC(ctx context.Context, want hostapi.NIC) error {
	have := e.port(want.MAC)
	if have != nil && have.switched != "" && have.vlan == int64(want.VLAN) {
		return nil
	}
	switches, err := e.owner.Query(ctx, wmi.Query{
		Namespace: wmi.Virtualization, Class: "Msvm_VirtualEthernetSwitch", Where: wmi.Values{"ElementName": want.Switch},
	})
	if err != nil {
		return err
	}
	if len(switches) != 1 {
		return e.conflict(want.Switch, "host %s has %d switches %s", e.owner.name, len(switches), want.Switch)
	}
	if have == nil {
		if err := e.add(ctx, "Msvm_SyntheticEthernetPortSettingData", typePort, kindPort, wmi.Values{
			"ElementName": "Network Adapter", "VirtualSystemIdentifiers": []string{adapterID(e.id, want.MAC)},
			"StaticMacAddress": true, "Address": strings.ToUpper(strings.ReplaceAll(want.MAC, ":", "")),
		}); err != nil {
			return err
		}
		have = e.port(want.MAC)
	}
	if have != nil && have.switched == "" {
		if err := e.add(ctx, "Msvm_EthernetPortAllocationSettingData", typeConnection, kindConnection, wmi.Values{
			"Parent": have.port.Path, "HostResource": []string{switches[0].Path}, "EnabledState": stateEnabled,
		}); err != nil {
			return err
		}
		have = e.port(want.MAC)
	}
	if have == nil || have.switched == "" {
		return &wmi.Error{Doing: "find the NIC that was added", Code: wmi.CodeNotFound}
	}
	if have.vlan == int64(want.VLAN) {
		return nil
	}
	text, err := e.owner.Text(ctx, wmi.Draft{Namespace: wmi.Virtualization, Class: "Msvm_EthernetSwitchPortVlanSettingData", Set: wmi.Values{
		"OperationMode": vlanAccess, "AccessVlanId": int(want.VLAN),
	}})
	if err != nil {
		return err
	}
	if err := e.manage(ctx, "AddFeatureSettings", wmi.Values{
		"AffectedConfiguration": have.connection.Path, "FeatureSettings": []string{text},
	}); err != nil {
		return err
	}
	return e.m.load(ctx)
}

// vlanAccess is a port's mode of one VLAN that its guest does not see.
const vlanAccess = 1
