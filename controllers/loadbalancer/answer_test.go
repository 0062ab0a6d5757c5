package loadbalancer

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

func TestAnAnswerTakesNothingBackThatWasSeenSince(t *testing.T) {
	holding := func(generation int64, role lbapi.Role) lbapi.Status {
		return lbapi.Status{Generation: generation, Hash: "hash", VIPs: []lbapi.VIPStatus{{Address: "192.0.2.9", Role: role}}}
	}
	for name, tc := range map[string]struct {
		seen   *lbapi.Status
		answer lbapi.Status
		want   string
	}{
		"nothing was seen yet":              {answer: holding(2, lbapi.RoleStandby), want: roleStandby},
		"what was seen is of an older plan": {seen: new(holding(1, lbapi.RoleActive)), answer: holding(2, lbapi.RoleStandby), want: roleStandby},
		"the plan was seen in force":        {seen: new(holding(2, lbapi.RoleActive)), answer: holding(2, lbapi.RoleStandby), want: roleActive},
	} {
		t.Run(name, func(t *testing.T) {
			a := &agent{status: tc.seen}
			a.answered(tc.answer)
			NewWithT(t).Expect(roleOf(a.observed())).To(Equal(tc.want))
		})
	}
}

func TestAnAgentThatIsFollowedIsNotSilentWhileItIsAtWork(t *testing.T) {
	tooLate := &lbapi.Error{Class: lbapi.Unreachable, Message: "applying", Err: context.DeadlineExceeded}
	for name, tc := range map[string]struct {
		status   *lbapi.Status
		followed bool
		err      error
		// quiet tells that it has not answered so far, silent that it counts as that, and
		// unread that it does not, though nothing is known of it.
		quiet, silent, unread bool
	}{
		"it is followed, and takes its time":               {status: &lbapi.Status{Generation: 1}, followed: true, err: tooLate},
		"it is followed, and the stream is cut":            {followed: true, err: tooLate, silent: true},
		"nobody follows it":                                {status: &lbapi.Status{Generation: 1}, err: tooLate, silent: true},
		"nobody follows it, and its answer cannot be read": {status: &lbapi.Status{Generation: 1}, err: &lbapi.Error{Class: lbapi.TooLarge}},
		"it is followed, and cannot be reached":            {status: &lbapi.Status{Generation: 1}, followed: true, err: &lbapi.Error{Class: lbapi.Unreachable}, silent: true},
		"it says what nobody can read":                     {err: &lbapi.Error{Class: lbapi.Transient, Err: status.Error(codes.Internal, "failed to unmarshal")}, unread: true},
		"it speaks another protocol":                       {err: &lbapi.Error{Class: lbapi.Incompatible}, unread: true},
		"it was silent, and its answer is no":              {quiet: true, err: &lbapi.Error{Class: lbapi.ApplyFailed, Err: status.Error(codes.Aborted, "no")}, unread: true},
		"it was silent, and nobody asked it":               {quiet: true, err: &lbapi.Error{Class: lbapi.InvalidPlan}, silent: true},
		"it is followed, and cannot be believed":           {status: &lbapi.Status{Generation: 1}, followed: true, err: &lbapi.Error{Class: lbapi.Untrusted}, silent: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			a := &agent{status: tc.status, met: true}
			a.silent.goesOn(tc.quiet, now)
			if tc.followed {
				a.unfollow = func() {}
			}
			g.Expect(a.failed(tc.err, now)).To(Equal(firstRetry), "it is asked again all the same")
			g.Expect(a.observed() == nil).To(Equal(tc.silent || tc.unread))
			since, _ := a.silence()
			g.Expect(!since.IsZero()).To(Equal(tc.silent))
		})
	}
}

func TestAnAgentThatSaysMoreThanCanBeReadIsNotSilent(t *testing.T) {
	for class, tc := range map[lbapi.Class]struct{ silent, unknown bool }{
		lbapi.TooLarge: {}, lbapi.Incompatible: {unknown: true}, lbapi.Unreachable: {silent: true, unknown: true},
	} {
		t.Run(string(class), func(t *testing.T) {
			g := NewWithT(t)
			a := &agent{
				all:    &agents{clock: clocktesting.NewFakeClock(now), changed: make(chan event.GenericEvent, 1)},
				status: &lbapi.Status{Generation: 1},
			}
			a.observe(t.Context(), nil, &lbapi.Error{Class: class})
			g.Expect(a.observed() == nil).To(Equal(tc.unknown))
			since, _ := a.silence()
			g.Expect(!since.IsZero()).To(Equal(tc.silent))
		})
	}
}
