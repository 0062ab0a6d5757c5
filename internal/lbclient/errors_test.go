package lbclient

import (
	"context"
	"errors"
	"net"
	"testing"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capstan-k8s/capstan/internal/lbapi"
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

func TestWhatWasSaidAndCannotBeReadIsAnAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		answer bool
	}{
		"a message that is too large":           {err: typed("ask", "lb-0", status.Error(codes.ResourceExhausted, "grpc: received message larger than max")), answer: true},
		"a message that nobody can decode":      {err: typed("ask", "lb-0", status.Error(codes.Internal, "grpc: failed to unmarshal")), answer: true},
		"a method that it does not know":        {err: typed("ask", "lb-0", status.Error(codes.Unimplemented, "unknown method")), answer: true},
		"a plan that it has no use for":         {err: typed("ask", "lb-0", lbapi.ErrorToStatus(lbapi.Errorf(lbapi.ApplyFailed, "no"))), answer: true},
		"a trouble of its own":                  {err: typed("ask", "lb-0", lbapi.ErrorToStatus(lbapi.Errorf(lbapi.Transient, "no"))), answer: true},
		"another protocol":                      {err: lbapi.Errorf(lbapi.Incompatible, "no"), answer: true},
		"nobody there":                          {err: typed("ask", "lb-0", status.Error(codes.Unavailable, "connection refused"))},
		"a call that takes too long":            {err: typed("ask", "lb-0", status.Error(codes.DeadlineExceeded, "late"))},
		"somebody who is not believed":          {err: typed("ask", "lb-0", status.Error(codes.Unauthenticated, "who"))},
		"a plan that was found wrong and kept":  {err: lbapi.InvalidPlanError(nil)},
		"something that went wrong on this end": {err: errors.New("reading the token")},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(IsAnswer(tc.err)).To(Equal(tc.answer))
		})
	}
}
