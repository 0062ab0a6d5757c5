package wmi

import (
	"context"
	"errors"
	"fmt"
)

// ErrJobLost means that a job's end was not seen: whether it did its work is unknown.
var ErrJobLost = errors.New("the job is gone before its end was seen")

// States of a job. Only they tell that it has ended: a job is at 100% while it is still running.
const (
	jobCompleted  = 7
	jobTerminated = 8
	jobKilled     = 9
	jobException  = 10
	// jobWithWarnings is a job that has done its work and has something to say.
	jobWithWarnings = 32768
)

// Runner calls methods that may go on as a job, and waits for them.
type Runner struct {
	Session
	// Wait returns after the pause between two looks at a job, or with the context's error.
	Wait func(ctx context.Context) error
}

// Run calls a method and returns its OUT parameters once it has done its work. A failure is a *Refusal.
func (r Runner) Run(ctx context.Context, of Instance, method string, in Values, out ...string) (Values, error) {
	result, err := r.Call(ctx, of.Path, method, in, append(out, "Job")...)
	if err != nil {
		return nil, err
	}
	name := of.Class + "." + method
	if result[ReturnValue] == nil {
		// 0 would say that it has done its work.
		return nil, &Error{Doing: "call " + name, Code: CodeProviderFailure, Err: errors.New("it returned nothing")}
	}
	switch code := uint32(result.Number(ReturnValue)); code {
	case Completed:
		return result, nil
	case JobStarted:
		if err := r.await(ctx, name, result.String("Job")); err != nil {
			return nil, err
		}
		return result, nil
	default:
		return nil, &Refusal{Method: name, Code: code}
	}
}

// await returns once a job has ended.
func (r Runner) await(ctx context.Context, method, job string) error {
	for {
		state, err := r.Get(ctx, job, "JobState", "ErrorCode", "ErrorDescription", "ErrorSummaryDescription")
		if NotFound(err) {
			return fmt.Errorf("wait for %s: %w", method, ErrJobLost)
		}
		if err != nil {
			return fmt.Errorf("wait for %s: %w", method, err)
		}
		switch state.Number("JobState") {
		case jobCompleted, jobWithWarnings:
			return nil
		case jobTerminated, jobKilled, jobException:
			// A job that failed may have no code and no text.
			refusal := &Refusal{Method: method, Code: uint32(state.Number("ErrorCode")), Message: state.String("ErrorSummaryDescription")}
			if refusal.Code == 0 {
				refusal.Code = Failed
			}
			if refusal.Message == "" {
				refusal.Message = state.String("ErrorDescription")
			}
			refusal.Cause = causeIn(refusal.Message)
			return refusal
		}
		if err := r.Wait(ctx); err != nil {
			return fmt.Errorf("wait for %s: %w", method, err)
		}
	}
}
