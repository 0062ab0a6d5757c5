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
	CodeNotRegistered     = 0x800706D9
	CodeCallCancelled     = 0x8007071A
	CodeCommFailure       = 0x8007071C
	CodeDisconnected      = 0x80010108
	CodeServerDied        = 0x80010007
	CodeServerDiedUnsure  = 0x80010012
	CodeServiceNotActive  = 0x80070426

	CodeObjectExists        = 0x80071392 // ERROR_OBJECT_ALREADY_EXISTS
	CodeGroupNotFound       = 0x80071395 // ERROR_GROUP_NOT_FOUND
	CodeClusterShuttingDown = 0x8007139E // ERROR_CLUSTER_SHUTTING_DOWN
	CodeClusterDown         = 0x800713BA // ERROR_CLUSTER_NODE_DOWN
	CodeClusterUnreachable  = 0x800713BB // ERROR_CLUSTER_NODE_UNREACHABLE
	CodeClusterNotRunning   = 0x800713BC // ERROR_CLUSTER_NODE_NOT_MEMBER
)

// meanings are for people, where WMI has no words of its own.
var meanings = map[uint32]string{
	CodeFailed:              "WMI failed",
	CodeNotFound:            "it is not there",
	CodeAccessDenied:        "the account has not the right to do this",
	CodeProviderFailure:     "the provider failed",
	CodeInvalidParameter:    "a parameter is not right",
	CodeInvalidNamespace:    "there is no such namespace",
	CodeInvalidClass:        "there is no such class",
	CodeInvalidQuery:        "the query is not right",
	CodeInvalidMethod:       "there is no such method",
	CodeShuttingDown:        "WMI is being stopped",
	CodeTimedOut:            "WMI did not answer in time",
	CodeTransportFailure:    "the connection broke",
	CodeWin32Denied:         "the account has not the right to do this",
	CodeServerUnavailable:   "the host does not answer",
	CodeServerBusy:          "the host is too busy to answer",
	CodeCallFailed:          "the connection broke during the call",
	CodeCallNotExecuted:     "the connection broke before the call",
	CodeNotRegistered:       "the service does not run",
	CodeCallCancelled:       "the call was given up",
	CodeCommFailure:         "the connection broke during the call",
	CodeDisconnected:        "the connection was ended",
	CodeServerDied:          "the service ended before the call",
	CodeServerDiedUnsure:    "the service ended during the call",
	CodeServiceNotActive:    "the service does not run",
	CodeObjectExists:        "there is one of that name",
	CodeGroupNotFound:       "there is no such group in the failover cluster",
	CodeClusterShuttingDown: "the failover cluster is being stopped",
	CodeClusterDown:         "the node is down",
	CodeClusterUnreachable:  "the node cannot be reached",
	CodeClusterNotRunning:   "the node is not in its failover cluster",
}

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
	switch meaning := meanings[e.Code]; {
	case e.Err != nil:
		return fmt.Sprintf("%s: %v (0x%08X)", e.Doing, e.Err, e.Code)
	case meaning != "":
		return fmt.Sprintf("%s: %s (0x%08X)", e.Doing, meaning, e.Code)
	default:
		return fmt.Sprintf("%s: 0x%08X", e.Doing, e.Code)
	}
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
	case CodeServerUnavailable, CodeServerBusy, CodeCallFailed, CodeCallNotExecuted, CodeNotRegistered, CodeCallCancelled, CodeCommFailure,
		CodeDisconnected, CodeServerDied, CodeServerDiedUnsure, CodeServiceNotActive, CodeTransportFailure, CodeShuttingDown,
		CodeClusterShuttingDown, CodeClusterDown, CodeClusterUnreachable, CodeClusterNotRunning:
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
