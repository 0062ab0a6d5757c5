package wmifake

import (
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// Guests are what is inside of VMs. They are told in the order of what happens, and return at once: the world stands
// still until then.
type Guests interface {
	// PowerOn boots the guest of a VM.
	PowerOn(m Machine, host Services)
	// PowerOff takes the power from a VM. What it returns waits until nothing is left of the guest.
	PowerOff(guid string) (gone func())
	// ShutDown asks the guest of a VM to stop, which ends by Services.Stopped.
	ShutDown(guid string)
	// Erased tells that a disk is gone, and all that a guest wrote to it. It may take its time.
	Erased(disk string)
}

// Machine is what firmware and devices show to a guest.
type Machine struct {
	GUID, Name string
	// SecureBootTemplate says whose boot loaders the firmware starts, "" for everybody's.
	SecureBootTemplate string
	// MACs are the addresses of the NICs, in the form of Hyper-V, in the order in which they were added.
	MACs []string
	// Disk is the identity of the disk that it boots from, "" for none.
	Disk string
	// Image is the content of the file that this is a differencing disk of, nil for none.
	Image []byte
	// Seed is the content of the disc in the DVD drive, nil for none.
	Seed []byte
}

// Services are a guest's integration services. They are mute once the VM has lost the power that they came with.
type Services struct {
	world *World
	vm    *vm
	power int
}

// Up says that the guest has booted.
func (s Services) Up() { s.say(func() { s.vm.up = s.vm.system.number("EnabledState") == enabled }) }

// Report says which addresses the guest has.
func (s Services) Report(addresses []string) {
	s.say(func() {
		s.vm.kvp.set("GuestIntrinsicExchangeItems", []string{KVPItem("NetworkAddressIPv4", strings.Join(addresses, ";"))})
	})
}

// Stopped says that the guest has done what it was asked to by ShutDown.
func (s Services) Stopped() {
	s.say(func() {
		if s.vm.system.number("EnabledState") == shuttingDown {
			s.world.turn(s.vm, disabled)
		}
	})
}

func (s Services) say(what func()) {
	s.world.mu.Lock()
	defer s.world.unlock()
	if s.vm.power == s.power {
		what()
	}
}

func (v *vm) guid() string { return v.system.text("Name") }

// machine is a VM as its guest finds it.
func (w *World) machine(v *vm) Machine {
	m := Machine{GUID: v.guid(), Name: v.system.text("ElementName")}
	if v.settings.get("SecureBootEnabled") == true {
		m.SecureBootTemplate = v.settings.text("SecureBootTemplateId")
	}
	for _, d := range v.devices {
		switch d.text("ResourceSubType") {
		case "Microsoft:Hyper-V:Synthetic Ethernet Port":
			m.MACs = append(m.MACs, d.text("Address"))
		case "Microsoft:Hyper-V:Virtual CD/DVD Disk":
			if f, err := w.disk.at(d.list("HostResource")[0]); err == nil {
				m.Seed = slices.Clone(f.content)
			}
		}
	}
	disk, err := w.disk.at(w.bootFile(v))
	if err != nil {
		return m
	}
	m.Disk = disk.id
	for disk.vhd != nil && disk.vhd.parent != "" {
		if disk, err = w.disk.at(disk.vhd.parent); err != nil {
			return m
		}
	}
	m.Image = slices.Clone(disk.content)
	return m
}

// turn changes the power of a VM.
func (w *World) turn(v *vm, state int64) {
	had := v.on()
	v.system.set("EnabledState", state)
	v.up, v.deaf, v.lost = false, false, false
	v.kvp.set("GuestIntrinsicExchangeItems", nil)
	v.power++
	guests := w.options.Guests
	if guests == nil {
		return
	}
	if had {
		w.then(guests.PowerOff(v.guid()))
	}
	if v.on() {
		guests.PowerOn(w.machine(v), Services{w, v, v.power})
	}
}

// KVPItem is what a guest's integration services report, as Windows passes it on.
func KVPItem(name, data string) string {
	d, _ := read(wmi.Virtualization, `<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"></INSTANCE>`, "Msvm_KvpExchangeDataItem")
	return embed(d.class, map[string]any{"name": name, "data": data, "source": int64(2)})
}
