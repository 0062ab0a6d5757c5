package lbclient

import (
	"context"
	"errors"
	"net"
	"testing"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestWhatTookTooLongIsToldFromWhatCannotBeReached(t *testing.T) {
	for name, tc := range map[string]struct {
		err     error
		timeout bool
	}{
		"a call that was cut off":      {err: status.Error(codes.DeadlineExceeded, "too late"), timeout: true},
		"a dial that was cut off":      {err: context.DeadlineExceeded, timeout: true},
		"a connection that was lost":   {err: status.Error(codes.Unavailable, "transport is closing")},
		"a connection that is refused": {err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}},
		"a call that was given up":     {err: status.Error(codes.Canceled, "canceled")},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(IsTimeout(typed("asking", "shop-lb-a", tc.err))).To(Equal(tc.timeout))
		})
	}
}
