package probe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Report is how it went.
type Report struct {
	Requests, Failed int
	// Retried is how often a client asked once more by itself, because the
	// connection on which it waited was gone.
	Retried int
	// LongestGap is the longest time between two answers of one kind, and Slowest
	// the longest time that a client waited for one.
	LongestGap, Slowest time.Duration
	// Outages are the times in which requests failed, in order.
	Outages []Outage
}

// Outage is a time in which requests failed.
type Outage struct {
	// Began is when the first request that failed was sent, Told when it was known
	// to have failed, and Ended when one that was sent later was answered.
	Began, Told, Ended time.Time
	Failed             int
	// Err is the first failure.
	Err error
}

// Length of the outage.
func (o Outage) Length() time.Duration { return o.Ended.Sub(o.Began) }

// String tells what a person wants to know.
func (r Report) String() string {
	return fmt.Sprintf("%d requests, %d failed, %d retried; longest gap %d ms, slowest answer %d ms",
		r.Requests, r.Failed, r.Retried, r.LongestGap.Milliseconds(), r.Slowest.Milliseconds())
}

// CheckNone returns an error if any request failed.
func (r Report) CheckNone() error {
	var errs []error
	for _, o := range r.Outages {
		errs = append(errs, fmt.Errorf("%d requests failed for %d ms from %s on: %w",
			o.Failed, o.Length().Milliseconds(), o.Began.Format("15:04:05.000"), o.Err))
	}
	return errors.Join(errs...)
}

// CheckTakeover returns the one outage that a fault excuses, and an error if any
// request failed before the fault, after that outage, or for longer than it may
// take. Requests that were under way when the fault came are its victims, too.
func (r Report) CheckTakeover(fault time.Time, longest time.Duration) (Outage, error) {
	if len(r.Outages) == 0 {
		return Outage{}, nil
	}
	excused := r.Outages[0]
	switch {
	case excused.Told.Before(fault):
		return excused, fmt.Errorf("requests failed before anything was broken: %w", r.CheckNone())
	case len(r.Outages) > 1:
		return excused, fmt.Errorf("requests failed in %d windows, where one is excused: %w", len(r.Outages), r.CheckNone())
	case excused.Length() > longest:
		return excused, fmt.Errorf("requests failed for longer than %d ms: %w", longest.Milliseconds(), r.CheckNone())
	}
	return excused, nil
}

// judge makes a report of answers in any order.
func judge(answers []answer) Report {
	r := Report{Requests: len(answers)}
	byKind := map[Kind][]answer{}
	for _, a := range answers {
		if a.err != nil {
			r.Failed++
		}
		r.Slowest = max(r.Slowest, a.ended.Sub(a.began))
		r.Retried += max(a.attempts-1, 0)
		byKind[a.kind] = append(byKind[a.kind], a)
	}
	var outages []Outage
	for _, of := range byKind {
		r.LongestGap = max(r.LongestGap, longestGap(of))
		outages = append(outages, outagesOf(of)...)
	}
	r.Outages = join(outages)
	return r
}

// longestGap is the longest time between two answers that were good.
func longestGap(answers []answer) time.Duration {
	var ends []time.Time
	for _, a := range answers {
		if a.err == nil {
			ends = append(ends, a.ended)
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	var longest time.Duration
	for i := 1; i < len(ends); i++ {
		longest = max(longest, ends[i].Sub(ends[i-1]))
	}
	return longest
}

// outagesOf are the runs of failures among requests of one kind, by when they were
// sent.
func outagesOf(answers []answer) []Outage {
	answers = slices.Clone(answers)
	slices.SortFunc(answers, func(a, b answer) int { return cmp.Or(a.began.Compare(b.began), a.ended.Compare(b.ended)) })
	var outages []Outage
	down := false
	for _, a := range answers {
		switch {
		case a.err != nil && !down:
			outages = append(outages, Outage{Began: a.began, Told: a.ended, Ended: a.ended, Failed: 1, Err: fmt.Errorf("%s: %w", a.kind, a.err)})
			down = true
		case a.err != nil:
			o := &outages[len(outages)-1]
			o.Failed++
			o.Told = earlier(o.Told, a.ended)
			o.Ended = later(o.Ended, a.ended)
		case down:
			o := &outages[len(outages)-1]
			o.Ended = later(o.Ended, a.ended)
			down = false
		}
	}
	return outages
}

// join makes one of outages that overlap.
func join(outages []Outage) []Outage {
	slices.SortFunc(outages, func(a, b Outage) int { return a.Began.Compare(b.Began) })
	var joined []Outage
	for _, o := range outages {
		last := len(joined) - 1
		if last < 0 || o.Began.After(joined[last].Ended) {
			joined = append(joined, o)
			continue
		}
		joined[last].Failed += o.Failed
		joined[last].Told = earlier(joined[last].Told, o.Told)
		joined[last].Ended = later(joined[last].Ended, o.Ended)
	}
	return joined
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
