//go:build !windows

package hostfs

import (
	"errors"
	"fmt"
	"syscall"
)

// explain gives an error of the system's the meaning that it has for the driver.
func explain(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
