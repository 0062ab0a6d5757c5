package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

const (
	// noSteps is how long is waited for steps when nothing happens.
	noSteps = 500 * time.Millisecond
	// leastTime is what a blow has before the next of its slot ends it.
	leastTime = 3 * time.Second
)

// underWay is a blow that lasts.
type underWay struct {
	*blow
	kind       kind
	began, due time.Time
}

// storm is what befalls a site.
type storm struct {
	*site
	*settings
	kinds   []kind
	moments *plan
	user    *user
	auditor *auditor
	tally   *tally
	last    atomic.Pointer[string]

	blows     []underWay
	injected  int
	strangers []string
}

func newStorm(w *site, s *settings, kinds []kind) *storm {
	var names []string
	for _, k := range kinds {
		for range k.share {
			names = append(names, k.name)
		}
	}
	return &storm{site: w, settings: s, kinds: kinds, moments: newPlan(s.seed, names), user: newUser(s.seed), tally: newTally(kinds)}
}

// rage has it all happen, and returns an error if anything came of it that must not.
func (s *storm) rage(ctx context.Context) error {
	nothing, err := s.NewAuditor(ctx)
	if err != nil {
		return err
	}
	if err := s.provide(ctx); err != nil {
		return err
	}
	s.screen.Begin(fmt.Sprintf("%d faults by seed %d", s.faults, s.seed))
	found := &findings{began: time.Now(), known: map[finding]bool{}, say: s.screen.Step, last: s.whatWasLast}
	s.auditor = startAuditor(ctx, s.site, found, newBystanders())
	if err := s.settleStrangers(ctx); err != nil {
		return err
	}
	if err := s.strike(ctx); err != nil {
		return err
	}
	s.screen.Begin("All faults are over: everything shall become well, and then go")
	converged, err := s.converge(ctx, nothing)
	if err != nil {
		return err
	}
	return s.report(converged)
}

func (s *storm) whatWasLast() string {
	if last := s.last.Load(); last != nil {
		return *last
	}
	return "nothing"
}

// strike has moments come until enough faults have changed something.
func (s *storm) strike(ctx context.Context) error {
	for s.tally.counted < s.faults {
		if len(s.blows) > 0 && s.tally.counted+len(s.blows) >= s.faults {
			// Those under way may be enough.
			if err := s.endFirst(ctx); err != nil {
				return err
			}
			continue
		}
		m := s.moments.next()
		if err := s.await(ctx, m); err != nil {
			return err
		}
		if m.kind == "" {
			if err := s.act(ctx, m); err != nil {
				return err
			}
			continue
		}
		if err := s.hit(ctx, m); err != nil {
			return err
		}
	}
	return s.endAll(ctx)
}

// await waits for the time of a moment, and ends what is due meanwhile.
func (s *storm) await(ctx context.Context, m moment) error {
	steps := s.auditor.steps
	steps.Wait(ctx, steps.Count()+m.steps, noSteps)
	if err := pause(ctx, m.later); err != nil {
		return err
	}
	return s.endDue(ctx)
}

// endDue ends what has lasted for long enough.
func (s *storm) endDue(ctx context.Context) error {
	for len(s.blows) > 0 && time.Now().After(s.blows[0].due) {
		if err := s.endFirst(ctx); err != nil {
			return err
		}
	}
	return nil
}

// hit has a fault happen.
func (s *storm) hit(ctx context.Context, m moment) error {
	k := s.kinds[slices.IndexFunc(s.kinds, func(k kind) bool { return k.name == m.kind })]
	if i := slices.IndexFunc(s.blows, func(b underWay) bool { return k.slot != "" && b.kind.slot == k.slot }); i >= 0 {
		if err := s.endAt(ctx, i, s.blows[i].began.Add(leastTime)); err != nil {
			return err
		}
	}
	s.tally.tried(k.name)
	b, err := k.strike(ctx, s, rand.New(rand.NewPCG(s.seed, m.chance)))
	switch {
	case fabricapi.CodeOf(err) != "" || errors.Is(err, fabricapi.ErrUnreachable):
		// Another fault is in the way of this one.
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%s: %w", m.kind, err)
	case b == nil:
		return nil
	}
	line := fmt.Sprintf("moment %d, %s: %s", m.number, k.name, b.whom)
	s.last.Store(&line)
	if b.end == nil {
		s.count(k, line)
		return nil
	}
	s.screen.Step(fmt.Sprintf("           %s for %.1f s", line, b.lasts.Seconds()))
	now := time.Now()
	s.blows = append(s.blows, underWay{b, k, now, now.Add(b.lasts)})
	slices.SortStableFunc(s.blows, func(a, b underWay) int { return a.due.Compare(b.due) })
	return nil
}

func (s *storm) count(k kind, line string) {
	s.tally.took(k.name)
	s.screen.Step(fmt.Sprintf("fault %3d  %s", s.tally.counted, line))
}

func (s *storm) endFirst(ctx context.Context) error { return s.endAt(ctx, 0, s.blows[0].due) }

func (s *storm) endAt(ctx context.Context, index int, at time.Time) error {
	if err := pause(ctx, time.Until(at)); err != nil {
		return err
	}
	return s.end(ctx, index)
}

func pause(ctx context.Context, howLong time.Duration) error {
	select {
	case <-time.After(howLong):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *storm) end(ctx context.Context, index int) error {
	b := s.blows[index]
	s.blows = slices.Delete(s.blows, index, index+1)
	changed, err := b.end(ctx)
	if err != nil {
		return fmt.Errorf("ending %s of %s: %w", b.kind.name, b.whom, err)
	}
	if changed {
		s.count(b.kind, fmt.Sprintf("%s of %s is over", b.kind.name, b.whom))
	}
	return nil
}

func (s *storm) endAll(ctx context.Context) error {
	for len(s.blows) > 0 {
		if err := s.end(ctx, 0); err != nil {
			return err
		}
	}
	return nil
}
