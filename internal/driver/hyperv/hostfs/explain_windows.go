package hostfs

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/windows"
)

// explain gives an error of the system's the meaning that it has for the driver.
func explain(err error) error {
	if err == nil {
		return nil
	}
	for _, meaning := range []struct {
		code  syscall.Errno
		means error
	}{
		{windows.ERROR_DISK_FULL, ErrFull},
		{windows.ERROR_HANDLE_DISK_FULL, ErrFull},
		{windows.ERROR_SHARING_VIOLATION, ErrBusy},
		{windows.ERROR_LOCK_VIOLATION, ErrBusy},
		{windows.ERROR_NOT_READY, ErrUnavailable},
		{windows.ERROR_BAD_NETPATH, ErrUnavailable},
		{windows.ERROR_DEVICE_NOT_CONNECTED, ErrUnavailable},
		{windows.ERROR_NO_SUCH_DEVICE, ErrUnavailable},
		{windows.ERROR_DEV_NOT_EXIST, ErrUnavailable},
		{windows.ERROR_IO_DEVICE, ErrUnavailable},
		{windows.ERROR_DISK_OPERATION_FAILED, ErrUnavailable},
		{windows.ERROR_FILE_INVALID, ErrUnavailable},
		{windows.ERROR_NETNAME_DELETED, ErrUnavailable},
		{windows.ERROR_CLUSTER_CSV_IO_PAUSE_TIMEOUT, ErrUnavailable},
	} {
		if errors.Is(err, meaning.code) {
			return fmt.Errorf("%w: %w", meaning.means, err)
		}
	}
	return err
}
