package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// Calls that agents make of their hosts.
var (
	// changing are those that change something.
	changing = []string{
		"ClaimRole", "CreateDisk", "DefineVM", "AttachDisk", "AddNIC", "WriteISO", "AttachISO", "StartVM",
		"EjectISO", "TurnOffVM", "DestroyVM", "DeleteFile", "ReleaseRole", "CopyImage", "MoveFile",
	}
	// repeatable are those that a host carries out once, though they arrive twice.
	repeatable = []string{"ClaimRole", "CreateDisk", "AttachDisk", "WriteISO", "StartVM", "EjectISO", "TurnOffVM", "DestroyVM", "DeleteFile", "ReleaseRole"}
	// making and removing are those in whose middle a VM may move.
	making   = []string{"AttachDisk", "AddNIC", "AttachISO", "StartVM"}
	removing = []string{"TurnOffVM", "DestroyVM"}
	// anyCall is one of the many that only look.
	anyCall = ""
	// answers are what a call that fails is answered, nothing at all among them.
	answers = []fabricapi.Code{"", fabricapi.Failed, fabricapi.Busy, fabricapi.TimedOut}
)

// callsLast is how long calls are waited for that shall be hit.
const callsLast = 8 * time.Second

// movesLast is the same for calls in whose middle a VM shall move.
const movesLast = 20 * time.Second

// callKinds are what befalls the calls that agents make of their hosts.
func callKinds() []kind {
	return []kind{
		{name: "call-fails-before-effect", share: 2, strike: failing(false)},
		{name: "call-fails-after-effect", share: 2, strike: failing(true)},
		{name: "call-arrives-twice", share: 1, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			op, _ := choose(r, repeatable)
			return s.inject(ctx, fabricapi.Injection{Op: op, Times: 1 + r.IntN(2), Effect: fabricapi.Repeated})
		}},
		{name: "answer-delayed", share: 1, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			// All calls of a host, or one call of all hosts: one of one is hardly ever made.
			host, op := s.anyHost(r), anyCall
			if r.IntN(2) == 0 {
				host, op = "", someCall(r)
			}
			return s.inject(ctx, fabricapi.Injection{
				Host: host, Op: op, Skip: r.IntN(3), Times: 1 + r.IntN(3), Effect: fabricapi.HeldBack, Delay: between(r, time.Second, 7*time.Second),
			})
		}},
		{name: "vm-moved-while-made", share: 1, strike: moving(making)},
		{name: "vm-moved-while-removed", share: 1, strike: moving(removing)},
	}
}

func failing(afterEffect bool) func(context.Context, *storm, *rand.Rand) (*blow, error) {
	return func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
		code, _ := choose(r, answers)
		return s.inject(ctx, fabricapi.Injection{Op: someCall(r), Skip: r.IntN(3), Times: 1 + r.IntN(3), Code: code, AfterEffect: afterEffect})
	}
}

func moving(calls []string) func(context.Context, *storm, *rand.Rand) (*blow, error) {
	return func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
		op, _ := choose(r, calls)
		// Many such calls are made on hosts that stand alone, or while no other node takes
		// the VM. One that is destroyed cannot move afterwards.
		b, err := s.inject(ctx, fabricapi.Injection{
			Op: op, Skip: r.IntN(2), Times: 8, Effect: fabricapi.VMMoved, AfterEffect: r.IntN(2) == 0 && op != "DestroyVM",
		})
		b.lasts = movesLast
		return b, err
	}
}

// someCall is one that changes something, or any.
func someCall(r *rand.Rand) string {
	if r.IntN(4) == 0 {
		return anyCall
	}
	op, _ := choose(r, changing)
	return op
}

// inject has something befall calls to come. It counts if any came.
func (s *storm) inject(ctx context.Context, injection fabricapi.Injection) (*blow, error) {
	s.injected++
	injection.ID = fmt.Sprintf("chaos-%d", s.injected)
	whom := fmt.Sprintf("%d calls %s of %s", injection.Times, orAny(injection.Op), orAny(injection.Host))
	return &blow{whom: whom, lasts: callsLast, end: func(ctx context.Context) (bool, error) {
		hits, err := s.Admin.EndInjection(ctx, injection.ID)
		return hits > 0, err
	}}, s.Admin.Inject(ctx, injection)
}

func orAny(what string) string {
	if what == "" {
		return "(any)"
	}
	return what
}
