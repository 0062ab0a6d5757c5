package fabricapi

import (
	"errors"
	"fmt"
)

// Code is the reason for which the fabric refuses an operation.
type Code string

// Reasons for a refusal.
const (
	// NotFound: the object that was named does not exist.
	NotFound Code = "NotFound"
	// Exists: there is something of that name already.
	Exists Code = "Exists"
	// InvalidState: the VM's power state forbids it.
	InvalidState Code = "InvalidState"
	// InUse: something depends on it: a child disk, a VM that holds the file.
	InUse Code = "InUse"
	// OutOfMemory: the host cannot give a VM its memory.
	OutOfMemory Code = "OutOfMemory"
	// TooManyProcessors: the VM has more processors than the host.
	TooManyProcessors Code = "TooManyProcessors"
	// VolumeFull: the volume has no room.
	VolumeFull Code = "VolumeFull"
	// VolumeUnavailable: the volume is faulted, or the host has none of the name.
	VolumeUnavailable Code = "VolumeUnavailable"
	// UnknownSwitch: the host has no such virtual switch.
	UnknownSwitch Code = "UnknownSwitch"
	// MissingParent: the parent of a differencing disk is not on its volume, or
	// is not whole.
	MissingParent Code = "MissingParent"
	// UnknownSource: nothing is published there.
	UnknownSource Code = "UnknownSource"
	// InvalidParameter: no host would do it, whatever its state.
	InvalidParameter Code = "InvalidParameter"
	// OwnedElsewhere: another node owns the clustered role.
	OwnedElsewhere Code = "OwnedElsewhere"
	// NodeUnavailable: the node that owns the VM does not answer its cluster.
	NodeUnavailable Code = "NodeUnavailable"
	// ClusterUnavailable: this host cannot reach its failover cluster.
	ClusterUnavailable Code = "ClusterUnavailable"
	// GuestNotReady: the guest's integration services do not answer.
	GuestNotReady Code = "GuestNotReady"
	// Busy: somebody else has the file open.
	Busy Code = "Busy"
	// TimedOut: what was waited for did not happen.
	TimedOut Code = "TimedOut"
	// Failed: it failed for no reason that can be named; injected by a test.
	Failed Code = "Failed"
)

// Refusal is the fabric saying no.
type Refusal struct {
	Code Code `json:"code"`
	// Object is what the refusal is about: a volume, a switch, a path.
	Object  string `json:"object,omitempty"`
	Message string `json:"message"`
}

// Refuse returns a Refusal.
func Refuse(code Code, object, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Object: object, Message: fmt.Sprintf(format, args...)}
}

// Error implements error.
func (r *Refusal) Error() string { return r.Message }

// CodeOf returns the code of a refusal, and "" for any other error.
func CodeOf(err error) Code {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}
