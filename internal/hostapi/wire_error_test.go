package hostapi

import (
	"context"
	"errors"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/capstan-k8s/capstan/internal/hostapi/hostpb"
)

func TestEveryErrorClassSurvivesTheWire(t *testing.T) {
	for _, class := range classes() {
		t.Run(string(class), func(t *testing.T) {
			g := NewWithT(t)
			sent := Errorf(class, "EnsureVM", ResourceMemory, "asked for %d MiB", 4096)

			// What gRPC does with a status between two processes.
			st, ok := status.FromError(ErrorToStatus("EnsureVM", fmt.Errorf("host h1: %w", sent)))
			g.Expect(ok).To(BeTrue())
			raw, err := proto.Marshal(st.Proto())
			g.Expect(err).NotTo(HaveOccurred())
			received := st.Proto()
			proto.Reset(received)
			g.Expect(proto.Unmarshal(raw, received)).To(Succeed())

			got := ErrorFromStatus("EnsureVM", status.ErrorProto(received))
			var typed *Error
			g.Expect(errors.As(got, &typed)).To(BeTrue())
			g.Expect(*typed).To(Equal(Error{Class: class, Op: "EnsureVM", Resource: ResourceMemory, Message: "asked for 4096 MiB"}))
			g.Expect(st.Code()).NotTo(BeElementOf(codes.OK, codes.Unknown))
		})
	}
}

func TestAnErrorOfNoClassIsTransientOnTheOtherSide(t *testing.T) {
	g := NewWithT(t)
	got := ErrorFromStatus("GetVM", ErrorToStatus("GetVM", errors.New("something odd")))
	g.Expect(ClassOf(got)).To(Equal(Transient))
	g.Expect(got).To(MatchError("GetVM: something odd"))
	g.Expect(ErrorToStatus("GetVM", nil)).To(Succeed())
	g.Expect(ErrorFromStatus("GetVM", nil)).To(Succeed())
}

func TestAClassOfANewerAgentIsTransient(t *testing.T) {
	g := NewWithT(t)
	st, err := status.New(codes.FailedPrecondition, "too warm").WithDetails(&hostpb.ErrorDetail{Class: "Overheated", Message: "too warm"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ClassOf(ErrorFromStatus("EnsureVM", st.Err()))).To(Equal(Transient))
}

func TestOnlyAnAgentsOwnWordIsAnObservation(t *testing.T) {
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		t.Run(code.String(), func(t *testing.T) {
			g := NewWithT(t)
			want := Transient
			switch code {
			case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unauthenticated, codes.PermissionDenied:
				want = HostUnreachable
			}
			g.Expect(ClassOf(ErrorFromStatus("GetVM", status.Error(code, "said by a proxy")))).To(Equal(want))
		})
	}
}

func TestACallThatRanOutOfTimeIsHostUnreachable(t *testing.T) {
	for _, err := range []error{context.DeadlineExceeded, fmt.Errorf("dial: %w", context.Canceled)} {
		g := NewWithT(t)
		got := ErrorFromStatus("GetVM", err)
		g.Expect(ClassOf(got)).To(Equal(HostUnreachable))
		g.Expect(errors.Is(got, err)).To(BeTrue())
	}
}
