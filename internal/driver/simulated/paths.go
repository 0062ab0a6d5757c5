package simulated

import (
	"encoding/json"
	"slices"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Where things lie on a volume. A path is made from identities alone, so any
// node finds what another one began.
const (
	imageFolder = `capstan\images\`
	vmFolder    = `capstan\vms\`
	partial     = ".partial"
)

func diskRef(id hostapi.VMID, disk hostapi.Disk) fabricapi.FileRef {
	return fabricapi.FileRef{Volume: disk.Volume, Path: vmFolder + string(id) + `\` + disk.Name + ".vhdx"}
}

func seedRef(id hostapi.VMID, volume string) fabricapi.FileRef {
	return fabricapi.FileRef{Volume: volume, Path: vmFolder + string(id) + `\seed.iso`}
}

func imageRef(volume, sha256 string) fabricapi.FileRef {
	return fabricapi.FileRef{Volume: volume, Path: imageFolder + sha256 + ".vhdx"}
}

// notes are what is kept in a VM's configuration beside its settings: what
// belongs to it, so that a VM that is not whole can be told from one that is.
type notes struct {
	Owner string     `json:"owner,omitempty"`
	OS    hostapi.OS `json:"os,omitempty"`
	Disks []string   `json:"disks"`
	MACs  []string   `json:"macs"`
}

func notesOf(req hostapi.EnsureVMRequest) string {
	n := notes{Owner: req.Owner, OS: req.OS}
	for _, d := range req.Disks {
		n.Disks = append(n.Disks, diskRef(req.Stamp.ID, d).Path)
	}
	for _, nic := range req.NICs {
		n.MACs = append(n.MACs, nic.MAC)
	}
	text, _ := json.Marshal(n) // strings cannot fail to be encoded
	return string(text)
}

// readNotes returns the zero value for notes that somebody else rewrote.
func readNotes(text string) (n notes) {
	_ = json.Unmarshal([]byte(text), &n)
	return n
}

// whole tells whether a VM has all the devices that its notes say.
func whole(v fabricapi.VM) bool {
	n := readNotes(v.Notes)
	for _, path := range n.Disks {
		if !slices.ContainsFunc(v.Disks, func(d fabricapi.FileRef) bool { return d.Path == path }) {
			return false
		}
	}
	for _, mac := range n.MACs {
		if !slices.ContainsFunc(v.NICs, func(nic fabricapi.NIC) bool { return nic.MAC == mac }) {
			return false
		}
	}
	return true
}

func stampOf(s hostapi.Stamp) *fabricapi.Stamp {
	return &fabricapi.Stamp{Installation: s.Installation, ID: string(s.ID)}
}
