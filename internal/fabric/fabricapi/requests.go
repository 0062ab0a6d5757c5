package fabricapi

import "time"

// VMRef names a VM.
type VMRef struct {
	GUID string `json:"guid"`
}

// VMFileRef names a VM and a file to attach to it or detach from it.
type VMFileRef struct {
	GUID string `json:"guid"`
	FileRef
}

// StampRef selects by the ID in the stamp; empty selects everything.
type StampRef struct {
	ID string `json:"id,omitempty"`
}

// DefineVMRequest makes a VM without any device, switched off.
type DefineVMRequest struct {
	Name         string `json:"name"`
	Stamp        *Stamp `json:"stamp,omitempty"`
	Notes        string `json:"notes,omitempty"`
	ConfigVolume string `json:"configVolume"`
	// Role is the claim the VM is put in. The calling host must own it.
	Role       string `json:"role,omitempty"`
	Processors int32  `json:"processors"`
	MemoryMiB  int64  `json:"memoryMiB"`
	// SecureBoot is SecureBootWindows if it is not given.
	SecureBoot SecureBootTemplate `json:"secureBoot,omitempty"`
}

// ModifyVMRequest changes a VM's settings.
type ModifyVMRequest struct {
	GUID       string `json:"guid"`
	Notes      string `json:"notes,omitempty"`
	Processors int32  `json:"processors"`
	MemoryMiB  int64  `json:"memoryMiB"`
	// SecureBoot stays as it is if it is not given.
	SecureBoot SecureBootTemplate `json:"secureBoot,omitempty"`
}

// AddNICRequest adds a network adapter.
type AddNICRequest struct {
	GUID string `json:"guid"`
	NIC
}

// WaitVMRequest waits until a VM is in a state.
type WaitVMRequest struct {
	GUID  string `json:"guid"`
	State State  `json:"state"`
	// Heartbeat, if set, is waited for as well.
	Heartbeat Heartbeat     `json:"heartbeat,omitempty"`
	Timeout   time.Duration `json:"timeout"`
}

// CreateDiskRequest makes a dynamic disk, or a differencing disk of Parent.
type CreateDiskRequest struct {
	FileRef
	Label  string `json:"label,omitempty"`
	Stamp  *Stamp `json:"stamp,omitempty"`
	Bytes  int64  `json:"bytes"`
	Parent string `json:"parent,omitempty"`
}

// ResizeDiskRequest makes a disk larger.
type ResizeDiskRequest struct {
	FileRef
	Bytes int64 `json:"bytes"`
}

// WriteISORequest makes an ISO file. It never overwrites.
type WriteISORequest struct {
	FileRef
	Stamp   *Stamp `json:"stamp,omitempty"`
	Content []byte `json:"content"`
}

// ListFilesRequest selects files, by default on every volume that can be read.
type ListFilesRequest struct {
	// StampID selects by stamp.
	StampID string `json:"stampID,omitempty"`
	// Folder selects by the beginning of the path.
	Folder string `json:"folder,omitempty"`
	// Volumes, if set, are the only ones looked at, and every one must be
	// readable: what is not in the answer then does not exist.
	Volumes []string `json:"volumes,omitempty"`
}

// MoveFileRequest renames a file on its volume.
type MoveFileRequest struct {
	FileRef
	To string `json:"to"`
	// ReadOnly is set on the file in the same stroke.
	ReadOnly bool `json:"readOnly,omitempty"`
}

// CopyImageRequest appends a piece of a published image to a file, made if
// Offset is 0. There must be room for all that is still to come. It takes as long as the copy rate says; if it is cut off, what
// was copied by then stays.
type CopyImageRequest struct {
	FileRef
	Source string `json:"source"`
	Label  string `json:"label,omitempty"`
	Offset int64  `json:"offset"`
	Bytes  int64  `json:"bytes"`
}

// ChecksumResponse is the checksum of a file's content.
type ChecksumResponse struct {
	SHA256 string `json:"sha256"`
}

// ClaimRoleRequest claims a name in the whole failover cluster for this node. A
// role with the same stamp and no VM in it moves here; Volumes are added to
// those it has.
type ClaimRoleRequest struct {
	Name    string   `json:"name"`
	Stamp   *Stamp   `json:"stamp,omitempty"`
	Volumes []string `json:"volumes,omitempty"`
}

// RoleRef names a role.
type RoleRef struct {
	Name string `json:"name"`
}

// None is an empty request or response.
type None struct{}
