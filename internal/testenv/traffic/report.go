package traffic

import (
	"math/bits"
	"sync"
	"time"
)

// Gap is a time in which no request was answered.
type Gap struct {
	// Began is when the last request before it was answered.
	Began  time.Time     `json:"began"`
	Length time.Duration `json:"length"`
}

// Report is what became of all that was sent since the beginning.
type Report struct {
	Asked    int64 `json:"asked"`
	Answered int64 `json:"answered"`
	Failed   int64 `json:"failed"`
	// Late is how many requests were due and never sent, because the asking side did
	// not keep up.
	Late int64 `json:"late"`
	// Errors counts failed requests and broken streams by what happened.
	Errors map[string]int64 `json:"errors,omitempty"`
	// By counts answers by the backend and by the address that it was asked from.
	By   map[string]int64 `json:"by,omitempty"`
	From map[string]int64 `json:"from,omitempty"`

	P50 time.Duration `json:"p50"`
	P99 time.Duration `json:"p99"`
	Max time.Duration `json:"max"`
	// Gaps are the times of more than MinGap without an answer; one that lasts is
	// the last of them.
	Gaps []Gap `json:"gaps,omitempty"`
	// Now is when the report was made.
	Now time.Time `json:"now"`

	Streams int64 `json:"streams"`
	Broken  int64 `json:"broken"`
	Echoes  int64 `json:"echoes"`
}

// MinGap is the shortest time without an answer that is reported as a gap.
const MinGap = 30 * time.Millisecond

// LongestGap returns the longest gap that began before one moment, and ended after
// another.
func (r Report) LongestGap(since, until time.Time) time.Duration {
	var longest time.Duration
	for _, gap := range r.Gaps {
		if gap.Began.Before(until) && gap.Began.Add(gap.Length).After(since) {
			longest = max(longest, gap.Length)
		}
	}
	return longest
}

// tally is a report that is being written.
type tally struct {
	mu     sync.Mutex
	report Report
	last   time.Time
	// latencies counts answers by their latency in microseconds, in classes that are
	// an eighth wide.
	latencies [8 * 64]int64
}

func newTally() *tally {
	return &tally{report: Report{Errors: map[string]int64{}, By: map[string]int64{}, From: map[string]int64{}}}
}

func (t *tally) answered(by, from string, began, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Answered++
	t.report.By[by]++
	t.report.From[from]++
	took := now.Sub(began)
	t.report.Max = max(t.report.Max, took)
	t.latencies[class(took)]++
	if gap := now.Sub(t.last); gap > MinGap && !t.last.IsZero() {
		t.report.Gaps = append(t.report.Gaps, Gap{t.last, gap})
	}
	if now.After(t.last) {
		t.last = now
	}
}

func (t *tally) failed(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Failed++
	t.report.Errors["request: "+reason(err)]++
}

func (t *tally) broken(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Broken++
	t.report.Errors["stream: "+reason(err)]++
}

func (t *tally) count(counter *int64, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*counter += n
}

func (t *tally) snapshot() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.report
	r.Now = time.Now()
	r.Errors, r.By, r.From = clone(r.Errors), clone(r.By), clone(r.From)
	r.Gaps = append([]Gap(nil), r.Gaps...)
	if gap := r.Now.Sub(t.last); gap > MinGap && !t.last.IsZero() {
		r.Gaps = append(r.Gaps, Gap{t.last, gap})
	}
	r.P50, r.P99 = t.quantile(0.5), t.quantile(0.99)
	return r
}

func clone(m map[string]int64) map[string]int64 {
	c := make(map[string]int64, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

// class is the number of a latency's class: its magnitude and the three bits after
// the first one.
func class(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 8))
	magnitude := bits.Len64(us) - 1
	return magnitude*8 + int(us>>(magnitude-3))&7
}

// quantile is the upper end of the class in which the quantile is.
func (t *tally) quantile(q float64) time.Duration {
	want := int64(q * float64(t.report.Answered))
	var seen int64
	for c, n := range &t.latencies {
		seen += n
		if n > 0 && seen > want {
			return min(time.Duration((9+c%8)<<(c/8)>>3)*time.Microsecond, t.report.Max)
		}
	}
	return t.report.Max
}
