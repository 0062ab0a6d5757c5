package simulated

import (
	"context"
	"errors"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// classes says what each refusal of a host means to Capstan.
var classes = map[fabricapi.Code]hostapi.Class{
	// Something that was there a moment ago: the next look will tell.
	fabricapi.NotFound:     hostapi.Transient,
	fabricapi.Exists:       hostapi.NotOwned,
	fabricapi.InvalidState: hostapi.Conflict,
	fabricapi.InUse:        hostapi.Conflict,

	fabricapi.OutOfMemory:       hostapi.OutOfCapacity,
	fabricapi.TooManyProcessors: hostapi.OutOfCapacity,
	fabricapi.VolumeFull:        hostapi.OutOfCapacity,
	fabricapi.VolumeUnavailable: hostapi.VolumeFaulted,

	// An administrator can put these right without a change of the request.
	fabricapi.UnknownSwitch: hostapi.Conflict,
	fabricapi.MissingParent: hostapi.Conflict,
	fabricapi.UnknownSource: hostapi.Conflict,

	fabricapi.InvalidParameter:   hostapi.InvalidArgument,
	fabricapi.NodeUnavailable:    hostapi.HostUnreachable,
	fabricapi.ClusterUnavailable: hostapi.HostUnreachable,

	fabricapi.OwnedElsewhere: hostapi.Transient,
	fabricapi.GuestNotReady:  hostapi.Transient,
	fabricapi.Busy:           hostapi.Transient,
	fabricapi.TimedOut:       hostapi.Transient,
	fabricapi.Failed:         hostapi.Transient,
}

// typed makes an error of the fabric one of hostapi.
func typed(op, doing string, err error) error {
	if err == nil {
		return nil
	}
	var refusal *fabricapi.Refusal
	if errors.As(err, &refusal) {
		class, ok := classes[refusal.Code]
		if !ok {
			class = hostapi.Transient
		}
		return hostapi.Errorf(class, op, resource(refusal), "%s: %w", doing, err)
	}
	class := hostapi.Transient
	// A call that the caller gave up says nothing about the host. A deadline that
	// passed without an answer does.
	if errors.Is(err, fabricapi.ErrUnreachable) && !errors.Is(err, context.Canceled) {
		class = hostapi.HostUnreachable
	}
	return hostapi.Errorf(class, op, "", "%s: %w", doing, err)
}

func resource(r *fabricapi.Refusal) string {
	switch r.Code {
	case fabricapi.OutOfMemory:
		return hostapi.ResourceMemory
	case fabricapi.TooManyProcessors:
		return hostapi.ResourceProcessors
	case fabricapi.VolumeFull:
		return hostapi.ResourceVolume
	default:
		return r.Object
	}
}
