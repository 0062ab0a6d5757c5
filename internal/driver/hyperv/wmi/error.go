package wmi

import (
	"errors"
	"fmt"
)

// Codes of WMI, COM and RPC that mean something to the driver.
const (
	CodeFailed           = 0x80041001
	CodeNotFound         = 0x80041002
	CodeAccessDenied     = 0x80041003
	CodeProviderFailure  = 0x80041004
	CodeInvalidParameter = 0x80041008
	CodeInvalidNamespace = 0x8004100E
	CodeInvalidClass     = 0x80041010
	CodeInvalidQuery     = 0x80041017
	CodeInvalidMethod    = 0x8004102E
	CodeShuttingDown     = 0x80041033
	CodeTimedOut         = 0x80043001
	CodeTransportFailure = 0x80041015
	CodeWin32Denied      = 0x80070005

	CodeServerUnavailable = 0x800706BA
	CodeServerBusy        = 0x800706BB
	CodeCallFailed        = 0x800706BE
	CodeCallNotExecuted   = 0x800706BF
	CodeDisconnected      = 0x80010108
	CodeServerDied        = 0x80010007
	CodeServerDiedUnsure  = 0x80010012
	CodeObjectExists      = 0x80071392 // ERROR_OBJECT_ALREADY_EXISTS
	CodeGroupNotFound     = 0x80071395 // ERROR_GROUP_NOT_FOUND
	CodeClusterDown       = 0x800713A4 // ERROR_CLUSTER_NODE_DOWN
	CodeClusterNotRunning = 0x800713B8 // ERROR_CLUSTER_NODE_NOT_MEMBER
)

// Error is a call that WMI did not carry out, or did not answer.
type Error struct {
	// Doing says what was asked of which object.
	Doing string
	// Code is the HRESULT.
	Code uint32
	Err  error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v (0x%08X)", e.Doing, e.Err, e.Code)
	}
	return fmt.Sprintf("%s: 0x%08X", e.Doing, e.Code)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the HRESULT of an error, 0 if it has none.
func CodeOf(err error) uint32 {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// NotFound tells whether an error says that an object is not there.
func NotFound(err error) bool {
	code := CodeOf(err)
	return code == CodeNotFound || code == CodeGroupNotFound
}

// Disconnected tells whether an error says that nobody answers: the service is being restarted, or the host
// or its failover cluster cannot be reached. Whether the call took effect is unknown.
func Disconnected(err error) bool {
	switch CodeOf(err) {
	case CodeServerUnavailable, CodeServerBusy, CodeCallFailed, CodeCallNotExecuted, CodeDisconnected, CodeServerDied,
		CodeServerDiedUnsure, CodeTransportFailure, CodeShuttingDown, CodeClusterDown, CodeClusterNotRunning:
		return true
	default:
		return false
	}
}

// Denied tells whether an error says that the account may not do this.
func Denied(err error) bool {
	code := CodeOf(err)
	return code == CodeAccessDenied || code == CodeWin32Denied
}
