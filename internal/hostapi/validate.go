package hostapi

import (
	"net"
	"regexp"
)

var (
	// pathName is what may become a name in a host's file system.
	pathName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	checksum = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Validate tells whether a host could ever do what the request asks. Every
// driver calls it first; the error is InvalidArgument.
func (r EnsureVMRequest) Validate() error {
	const op = "EnsureVM"
	if err := r.Stamp.validate(op); err != nil {
		return err
	}
	// Hyper-V allots memory in pieces of two MiB and starts nothing below 32.
	if r.Processors < 1 || r.MemoryMiB < 32 || r.MemoryMiB%2 != 0 {
		return Errorf(InvalidArgument, op, "", "VM %s: %d processors and %d MiB of memory: at least 1 and 32 are needed, and an even number of MiB",
			r.Stamp.ID, r.Processors, r.MemoryMiB)
	}
	switch {
	case r.Name == "":
		return Errorf(InvalidArgument, op, "", "VM %s: the name is empty", r.Stamp.ID)
	case r.Power != PowerOn && r.Power != PowerOff:
		return Errorf(InvalidArgument, op, "", "VM %s: %q is no power state", r.Stamp.ID, r.Power)
	case r.KeepSeed && r.Seed != nil:
		return Errorf(InvalidArgument, op, "", "VM %s: a seed is given and the present one is to be kept", r.Stamp.ID)
	case len(r.Disks) == 0:
		return Errorf(InvalidArgument, op, "", "VM %s: there is no disk to boot from", r.Stamp.ID)
	}
	if err := validateDisks(r.Stamp.ID, r.Disks); err != nil {
		return err
	}
	return validateNICs(r.Stamp.ID, r.NICs)
}

func validateDisks(id VMID, disks []Disk) error {
	names := map[string]bool{}
	for _, d := range disks {
		switch {
		case !pathName.MatchString(d.Name) || names[d.Name]:
			return Errorf(InvalidArgument, "EnsureVM", "", "VM %s: disk name %q is not unique, or not of letters, digits and dashes", id, d.Name)
		case d.Volume == "":
			return Errorf(InvalidArgument, "EnsureVM", "", "VM %s: disk %s has no volume", id, d.Name)
		case d.Bytes < 0 || (d.Bytes == 0 && d.Image == nil):
			return Errorf(InvalidArgument, "EnsureVM", "", "VM %s: disk %s has %d bytes", id, d.Name, d.Bytes)
		case d.Image != nil && !checksum.MatchString(d.Image.SHA256):
			return Errorf(InvalidArgument, "EnsureVM", "", "VM %s: disk %s: %q is no SHA-256 checksum", id, d.Name, d.Image.SHA256)
		}
		names[d.Name] = true
	}
	return nil
}

func validateNICs(id VMID, nics []NIC) error {
	macs := map[string]bool{}
	for _, n := range nics {
		mac, err := net.ParseMAC(n.MAC)
		switch {
		case err != nil || len(mac) != 6 || mac[0]&1 != 0 || mac.String() != n.MAC || macs[n.MAC]:
			return Errorf(InvalidArgument, "EnsureVM", "", "VM %s: MAC address %q is not unique, or no unicast address in lower case with colons", id, n.MAC)
		case n.Switch == "":
			return Errorf(InvalidArgument, "EnsureVM", "", "VM %s: NIC %s has no switch", id, n.MAC)
		case n.VLAN < 0 || n.VLAN > 4094:
			return Errorf(InvalidArgument, "EnsureVM", "", "VM %s: NIC %s: %d is no VLAN", id, n.MAC, n.VLAN)
		}
		macs[n.MAC] = true
	}
	return nil
}

// Validate tells whether a host could ever do what the request asks. Every
// driver calls it first; the error is InvalidArgument.
func (r StageImageRequest) Validate() error {
	switch {
	case !checksum.MatchString(r.Image.SHA256):
		return Errorf(InvalidArgument, "StageImage", "", "image %s: %q is no SHA-256 checksum", r.Image.Name, r.Image.SHA256)
	case r.Volume == "":
		return Errorf(InvalidArgument, "StageImage", "", "image %s: there is no volume to stage it on", r.Image.Name)
	case r.Source == "":
		return Errorf(InvalidArgument, "StageImage", "", "image %s: there is no source to stage it from", r.Image.Name)
	}
	return nil
}

// Validate tells whether a host could ever do what the request asks. Every
// driver calls it first; the error is InvalidArgument.
func (r SetPowerRequest) Validate() error {
	switch {
	case r.Power != PowerOn && r.Power != PowerOff:
		return Errorf(InvalidArgument, "SetPower", "", "VM %s: %q is no power state", r.Stamp.ID, r.Power)
	case r.Timeout < 0:
		return Errorf(InvalidArgument, "SetPower", "", "VM %s: a timeout of %s", r.Stamp.ID, r.Timeout)
	}
	return r.Stamp.validate("SetPower")
}

// Validate tells whether a host could ever do what the request asks. Every
// driver calls it first; the error is InvalidArgument.
func (r DeleteVMRequest) Validate() error { return r.Stamp.validate("DeleteVM") }

func (s Stamp) validate(op string) error {
	if s.Installation == "" || !pathName.MatchString(string(s.ID)) {
		return Errorf(InvalidArgument, op, "", "the stamp needs an installation, and an ID of letters, digits and dashes, not %q", s.ID)
	}
	return nil
}
