package lbapi

import (
	"errors"
	"fmt"
)

// Class is what an error means to the caller.
type Class string

// Error classes.
const (
	// InvalidPlan: the plan has the faults that Faults lists. The plan in force is
	// untouched.
	InvalidPlan Class = "InvalidPlan"
	// Stale: a plan of a higher generation is in force.
	Stale Class = "Stale"
	// Conflict: the generation is in force with another content, or the plan is for
	// another VM.
	Conflict Class = "Conflict"
	// ApplyFailed: the plan could not be put in force and the one before it was
	// put back.
	ApplyFailed Class = "ApplyFailed"
	// NotEnrolled: the VM does not know the manager yet, or no longer.
	NotEnrolled Class = "NotEnrolled"
	// Unreachable: the VM could not be asked. It says nothing about its state.
	Unreachable Class = "Unreachable"
	// Untrusted: one side does not accept the other's certificate or token.
	Untrusted Class = "Untrusted"
	// Expired: nothing but the dates of a certificate stands in the way. The way out
	// is Renew.
	Expired Class = "Expired"
	// Incompatible: the VM and this code have no protocol version in common.
	Incompatible Class = "Incompatible"
	// TooLarge: the plan, or the answer to it, is larger than MaxMessage. The VM is
	// there, and serves as before.
	TooLarge Class = "TooLarge"
	// Transient: it failed and may succeed if tried again.
	Transient Class = "Transient"
)

// Error is the error of every call to a load-balancer VM.
type Error struct {
	Class   Class
	Message string
	// Faults are set for InvalidPlan.
	Faults Faults
	// Err is the cause. It does not cross the wire.
	Err error
}

// Errorf returns an error of a class.
func Errorf(class Class, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Class: class, Message: err.Error(), Err: errors.Unwrap(err)}
}

// InvalidPlanError returns the error for a plan with faults.
func InvalidPlanError(faults Faults) *Error {
	return &Error{Class: InvalidPlan, Message: "plan is not valid: " + faults.String(), Faults: faults}
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of err. An error of no class is Transient.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Transient
}
