package hyperv

import (
	"context"
	"errors"
	"io/fs"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// typed makes an error of the host one of hostapi. Volume is the volume that was worked on, "" for none.
func typed(op, volume, doing string, err error) error {
	if err == nil {
		return nil
	}
	var already *hostapi.Error
	if errors.As(err, &already) {
		return err
	}
	class, resource := classify(volume, err)
	return hostapi.Errorf(class, op, resource, "%s: %w", doing, err)
}

func classify(volume string, err error) (class hostapi.Class, resource string) {
	var refusal *wmi.Refusal
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, wmi.ErrJobLost):
		return hostapi.Transient, ""
	case errors.As(err, &refusal):
		return classifyRefusal(volume, refusal)
	// An account without rights has not been answered, so nothing is known.
	case wmi.Disconnected(err), wmi.Denied(err):
		return hostapi.HostUnreachable, ""
	case errors.Is(err, hostfs.ErrFull):
		return hostapi.OutOfCapacity, hostapi.ResourceVolume
	case errors.Is(err, hostfs.ErrUnavailable):
		return hostapi.VolumeFaulted, volume
	case errors.Is(err, fs.ErrExist):
		return hostapi.NotOwned, volume
	default:
		// Something that was there a moment ago, or that is in use: the next look will tell.
		return hostapi.Transient, ""
	}
}

func classifyRefusal(volume string, r *wmi.Refusal) (class hostapi.Class, resource string) {
	switch r.Cause {
	case wmi.CauseDiskFull, wmi.CauseHandleDiskFull:
		return hostapi.OutOfCapacity, hostapi.ResourceVolume
	case wmi.CauseNoMemory, wmi.CauseTooLittleMemory, wmi.CauseNoResources, wmi.CauseCommitment:
		return hostapi.OutOfCapacity, hostapi.ResourceMemory
	case wmi.CauseFileExists, wmi.CauseAlreadyExists:
		return hostapi.NotOwned, volume
	case wmi.CauseSharing, wmi.CauseLocked:
		return hostapi.Transient, ""
	case wmi.CauseFileNotFound, wmi.CausePathNotFound, wmi.CauseNotReady, wmi.CauseVolumeAltered, wmi.CauseDeviceFailed, wmi.CauseDiskFailed,
		wmi.CauseNotConnected:
		if volume != "" {
			return hostapi.VolumeFaulted, volume
		}
	}
	switch r.Code {
	case wmi.OutOfMemory:
		return hostapi.OutOfCapacity, hostapi.ResourceMemory
	case wmi.InvalidState, wmi.SystemInUse:
		return hostapi.Conflict, ""
	case wmi.InvalidParameter, wmi.WrongDataType:
		return hostapi.InvalidArgument, ""
	case wmi.AccessDenied:
		return hostapi.HostUnreachable, ""
	default:
		return hostapi.Transient, ""
	}
}
