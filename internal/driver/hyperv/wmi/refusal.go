package wmi

import (
	"fmt"
	"regexp"
	"strconv"
)

// Return values of Hyper-V's methods, and error codes of its jobs.
const (
	Completed        = 0
	JobStarted       = 4096
	Failed           = 32768
	AccessDenied     = 32769
	NotSupported     = 32770
	StatusUnknown    = 32771
	TimedOut         = 32772
	InvalidParameter = 32773
	SystemInUse      = 32774
	InvalidState     = 32775
	WrongDataType    = 32776
	SystemGone       = 32777
	OutOfMemory      = 32778
	FileNotFound     = 32779
)

// Causes by which the operating system says what is wrong, as HRESULTs.
const (
	CauseFileNotFound    = 0x80070002
	CausePathNotFound    = 0x80070003
	CauseTooLittleMemory = 0x80070008
	CauseNoMemory        = 0x8007000E
	CauseNotReady        = 0x80070015
	CauseSharing         = 0x80070020
	CauseLocked          = 0x80070021
	CauseHandleDiskFull  = 0x80070027
	CauseFileExists      = 0x80070050
	CauseDiskFull        = 0x80070070
	CauseAlreadyExists   = 0x800700B7
	CauseVolumeAltered   = 0x800703EE
	CauseDeviceFailed    = 0x8007045D
	CauseDiskFailed      = 0x80070467
	CauseNotConnected    = 0x8007048F
	CauseNoResources     = 0x800705AA
	CauseCommitment      = 0x800705AF
	CauseVHDParentAbsent = 0xC03A000D
)

// Refusal is a method that Hyper-V carried out and that failed, at once or in its job.
type Refusal struct {
	// Method is "Class.Method", for people.
	Method string
	// Code is the return value, or the job's error code.
	Code uint32
	// Cause is the operating system's HRESULT, 0 where Hyper-V does not tell.
	Cause uint32
	// Message is what Hyper-V says, in the language of the host.
	Message string
}

// Error implements error.
func (r *Refusal) Error() string {
	text := fmt.Sprintf("%s returned %d", r.Method, r.Code)
	if r.Cause != 0 {
		text += fmt.Sprintf(" (0x%08X)", r.Cause)
	}
	if r.Message != "" {
		text += ": " + r.Message
	}
	return text
}

// quoted is how Hyper-V quotes the cause in its messages, in every language.
var quoted = regexp.MustCompile(`0x([0-9A-Fa-f]{8})\b`)

// causeIn returns the HRESULT that a message quotes. Nothing else of a job tells a full volume from one that is gone.
func causeIn(message string) uint32 {
	found := quoted.FindStringSubmatch(message)
	if found == nil {
		return 0
	}
	code, err := strconv.ParseUint(found[1], 16, 32)
	if err != nil {
		return 0
	}
	return uint32(code)
}
