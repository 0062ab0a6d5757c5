package hostapi

import (
	"errors"
	"fmt"
)

// Class is what an error means to the caller. Every class is mapped to one
// condition reason and one requeue, in one place, by the manager.
type Class string

// Error classes.
const (
	// NotFound: it does not exist, on the whole failover cluster.
	NotFound Class = "NotFound"
	// Conflict: it exists differently, or the host's present state forbids it.
	Conflict Class = "Conflict"
	// NotOwned: it exists and is not ours. Nothing was touched.
	NotOwned Class = "NotOwned"
	// OutOfCapacity: the host lacks the resource that Resource names.
	OutOfCapacity Class = "OutOfCapacity"
	// VolumeFaulted: the volume that Resource names cannot be used.
	VolumeFaulted Class = "VolumeFault"
	// HostUnreachable: the host or its failover cluster could not be asked. It
	// says nothing about what exists.
	HostUnreachable Class = "HostUnreachable"
	// Transient: it failed and may succeed if tried again.
	Transient Class = "Transient"
	// InvalidArgument: the request is wrong and will never succeed.
	InvalidArgument Class = "InvalidArgument"
)

// Resources that an OutOfCapacity error names.
const (
	ResourceMemory     = "memory"
	ResourceProcessors = "processors"
	ResourceVolume     = "volume"
)

// Error is the error of every Driver and Agent method.
type Error struct {
	Class Class `json:"class"`
	// Op is the call, such as "EnsureVM".
	Op string `json:"op,omitempty"`
	// Resource names what the class is about: a volume, "memory", a switch.
	Resource string `json:"resource,omitempty"`
	Message  string `json:"message"`
	// Err is the cause. It does not cross the wire.
	Err error `json:"-"`
}

// Errorf returns an error of a class.
func Errorf(class Class, op, resource, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Class: class, Op: op, Resource: resource, Message: err.Error(), Err: errors.Unwrap(err)}
}

// NoVM returns the error of a driver that knows no VM of this ID.
func NoVM(op string, id VMID) *Error {
	return Errorf(NotFound, op, "", "there is no VM %s", id)
}

// Error implements error.
func (e *Error) Error() string {
	if e.Op == "" {
		return e.Message
	}
	return e.Op + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of err. An error of no class is Transient: it is
// never taken for an observation.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Transient
}

// Is tells whether err is of class.
func Is(err error, class Class) bool { return err != nil && ClassOf(err) == class }

// AsError returns err as a typed error. One of no class becomes Transient, the
// class that never reads as an observation. Err must not be nil.
func AsError(op string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Class: Transient, Op: op, Message: err.Error(), Err: err}
}
