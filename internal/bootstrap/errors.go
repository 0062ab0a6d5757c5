package bootstrap

import (
	"errors"
	"fmt"
)

// ErrNotSupported is wrapped by errors about input that is valid, but for which
// no seed can be made yet.
var ErrNotSupported = errors.New("not supported yet")

// FieldError is what is wrong with one field of the input. It never holds the
// content of user data, files or keys.
type FieldError struct {
	// Field is the path of the field, such as nics[0].mac.
	Field string
	Err   error
}

// Error implements error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap gives the error beneath.
func (e *FieldError) Unwrap() error { return e.Err }

// problems collects all that is wrong, so that a user sees it in one go.
type problems []error

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, &FieldError{Field: field, Err: fmt.Errorf(format, args...)})
}

func (p *problems) err() error { return errors.Join(*p...) }
