package wmiremote

import (
	"context"
	"errors"
	"io/fs"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// failure is an error on its way.
type failure struct {
	// WMI tells that it is a *wmi.Error, with what that says beside its cause.
	WMI   bool
	Doing string
	Code  uint32
	// Text is the error's, or its cause's.
	Text string
	// Is are the places in meanings of what it is.
	Is []int
}

// meanings are the errors that drivers ask for.
var meanings = []error{
	fs.ErrNotExist, fs.ErrExist, hostfs.ErrFull, hostfs.ErrUnavailable, hostfs.ErrBusy, context.Canceled, context.DeadlineExceeded,
}

func pack(err error) *failure {
	if err == nil {
		return nil
	}
	var f failure
	var said *wmi.Error
	if errors.As(err, &said) {
		f.WMI, f.Doing, f.Code = true, said.Doing, said.Code
		if err = said.Err; err == nil {
			return &f
		}
	}
	f.Text = err.Error()
	for i, meaning := range meanings {
		if errors.Is(err, meaning) {
			f.Is = append(f.Is, i)
		}
	}
	return &f
}

func (f *failure) unpack() error {
	if f == nil {
		return nil
	}
	var cause error
	if f.Text != "" {
		said := remoteError{text: f.Text}
		for _, i := range f.Is {
			said.is = append(said.is, meanings[i])
		}
		cause = said
	}
	if f.WMI {
		return &wmi.Error{Doing: f.Doing, Code: f.Code, Err: cause}
	}
	return cause
}

// remoteError is an error of the other side.
type remoteError struct {
	text string
	is   []error
}

// Error implements error.
func (e remoteError) Error() string { return e.text }

// Unwrap returns what the error is.
func (e remoteError) Unwrap() []error { return e.is }
