package hostapi

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// protocols are the protocol versions that this code speaks, newest last.
var protocols = []int32{1}

// Protocols returns the protocol versions that this code speaks, newest last.
func Protocols() []int32 { return append([]int32(nil), protocols...) }

// CommonProtocol returns the newest protocol version that both this code and a
// peer speak.
func CommonProtocol(peer []int32) (version int32, ok bool) {
	for _, ours := range protocols {
		for _, theirs := range peer {
			if ours == theirs && ours > version {
				version, ok = ours, true
			}
		}
	}
	return version, ok
}

// each converts a list. An empty list becomes nil: the wire cannot tell them
// apart.
func each[From, To any](in []From, convert func(From) To) []To {
	if len(in) == 0 {
		return nil
	}
	out := make([]To, len(in))
	for i := range in {
		out[i] = convert(in[i])
	}
	return out
}

// words drops the difference between an empty and an absent list.
func words(in []string) []string {
	return each(in, func(s string) string { return s })
}

// text makes what a host or guest wrote fit for the wire, which refuses a whole
// message for one byte that is not UTF-8.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func timeToProto(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeFromProto(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func durationToProto(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
