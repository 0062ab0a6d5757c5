package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// journalVersion is the version of every journal file. A file of another
// version is not trusted.
const journalVersion = 1

// vmRecord is what the agent must know of a VM after a boot of its host.
type vmRecord struct {
	Version int           `json:"version"`
	Stamp   hostapi.Stamp `json:"stamp"`
	Name    string        `json:"name,omitempty"`
	Power   hostapi.Power `json:"power"`
}

// bootRecord remembers for which boot of the host the tombstones were handed in
// and VMs started.
type bootRecord struct {
	Version int    `json:"version"`
	BootID  string `json:"bootID"`
}

// tombstoneRecord holds all tombstones.
type tombstoneRecord struct {
	Version    int                 `json:"version"`
	Tombstones []hostapi.Tombstone `json:"tombstones"`
}

// kind is the method that an operation carries out.
type kind string

const (
	kindStageImage kind = "StageImage"
	kindEnsureVM   kind = "EnsureVM"
	kindSetPower   kind = "SetPower"
	kindDeleteVM   kind = "DeleteVM"
)

// operationRecord is an operation with all that is needed to go on with it.
// Exactly one of the requests is set.
type operationRecord struct {
	Version int    `json:"version"`
	Ref     string `json:"ref"`
	Kind    kind   `json:"kind"`
	What    string `json:"what"`
	// Digest tells whether a request is this operation's.
	Digest  string    `json:"digest"`
	Started time.Time `json:"started"`
	// Finished is zero while the operation is under way.
	Finished time.Time      `json:"finished,omitzero"`
	Err      *hostapi.Error `json:"err,omitempty"`

	StageImage *hostapi.StageImageRequest `json:"stageImage,omitempty"`
	// EnsureVM never has its seed: seeds hold secrets. SeedSHA256 tells that there
	// was one, which the manager has to send again.
	EnsureVM   *hostapi.EnsureVMRequest `json:"ensureVM,omitempty"`
	SeedSHA256 string                   `json:"seedSHA256,omitempty"`
	SetPower   *hostapi.SetPowerRequest `json:"setPower,omitempty"`
	DeleteVM   *hostapi.DeleteVMRequest `json:"deleteVM,omitempty"`
}

// subject is what no two operations may work on at once.
func (r *operationRecord) subject() string {
	switch {
	case r.StageImage != nil:
		return imageSubject(r.StageImage)
	case r.EnsureVM != nil:
		return vmSubject(r.EnsureVM.Stamp.ID)
	case r.SetPower != nil:
		return vmSubject(r.SetPower.Stamp.ID)
	case r.DeleteVM != nil:
		return vmSubject(r.DeleteVM.Stamp.ID)
	default:
		return ""
	}
}

// stamp is the stamp of the VM that the operation is about, if it is about one.
func (r *operationRecord) stamp() hostapi.Stamp {
	switch {
	case r.EnsureVM != nil:
		return r.EnsureVM.Stamp
	case r.SetPower != nil:
		return r.SetPower.Stamp
	case r.DeleteVM != nil:
		return r.DeleteVM.Stamp
	default:
		return hostapi.Stamp{}
	}
}

func vmSubject(id hostapi.VMID) string { return "vm/" + string(id) }

func imageSubject(r *hostapi.StageImageRequest) string {
	return "image/" + r.Image.SHA256 + "@" + r.Volume
}

func stageImageRecord(req hostapi.StageImageRequest) operationRecord {
	req.Progress = nil
	r := operationRecord{Kind: kindStageImage, What: "staging image " + req.Image.Name + " on volume " + req.Volume, StageImage: &req}
	r.Digest = digest(r)
	return r
}

func ensureVMRecord(req hostapi.EnsureVMRequest) operationRecord {
	var sum string
	if req.Seed != nil {
		hash := sha256.Sum256(req.Seed)
		sum = hex.EncodeToString(hash[:])
	}
	req.Seed = nil
	r := operationRecord{Kind: kindEnsureVM, What: "bringing VM " + req.Name + " to its wanted state", EnsureVM: &req, SeedSHA256: sum}
	r.Digest = digest(r)
	return r
}

func setPowerRecord(req hostapi.SetPowerRequest) operationRecord {
	what := "starting VM "
	if req.Power == hostapi.PowerOff {
		what = "stopping VM "
	}
	r := operationRecord{Kind: kindSetPower, What: what + string(req.Stamp.ID), SetPower: &req}
	r.Digest = digest(r)
	return r
}

func deleteVMRecord(req hostapi.DeleteVMRequest) operationRecord {
	r := operationRecord{Kind: kindDeleteVM, What: "deleting VM " + string(req.Stamp.ID), DeleteVM: &req}
	r.Digest = digest(r)
	return r
}

// digest identifies the request in a record that has nothing else yet.
func digest(r operationRecord) string {
	raw, err := json.Marshal(r)
	if err != nil {
		// Requests are plain structs of plain fields.
		panic(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
