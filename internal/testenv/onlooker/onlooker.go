package onlooker

import (
	"context"
	"maps"
	"time"

	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// Options say what is looked at.
type Options struct {
	// World is all there is now.
	World func(context.Context) (fabricapi.World, error)
	// Every is how often it is looked at.
	Every time.Duration
	// Judge tells what must not be, a line each.
	Judge func(fabricapi.World) []string
	// Steps counts the changes that are seen.
	Steps *Tally
	// Clock is what is looked at by. Nil is the real one.
	Clock clock.WithTicker
	// Found is told of each thing that must not be, when it is first seen. It may be
	// nil.
	Found func(line string)
}

// Onlooker looks until it is stopped.
type Onlooker struct {
	Options
	stop    context.CancelFunc
	stopped chan struct{}

	began, last time.Time
	report      Report
	state       string
}

// Report is what was seen.
type Report struct {
	// Violations are when what must not be was first seen, by what it is.
	Violations map[string]time.Time
	// Identities are those that were ever on a host, each with one of its bearers.
	Identities map[string]string
	// Looks is how often it was looked, Lasted how long it was to be looked for, Longest the
	// longest time without a look.
	Looks           int
	Lasted, Longest time.Duration
}

// Start begins to look.
func Start(ctx context.Context, o Options) *Onlooker {
	ctx, stop := context.WithCancel(ctx)
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	now := o.Clock.Now()
	l := &Onlooker{
		Options: o, stop: stop, stopped: make(chan struct{}), began: now, last: now,
		report: Report{Violations: map[string]time.Time{}, Identities: map[string]string{}},
	}
	go l.run(ctx)
	return l
}

// Stop ends the looking and returns what was seen. It may be called again.
func (l *Onlooker) Stop() Report {
	l.stop()
	<-l.stopped
	if l.report.Lasted == 0 {
		// Whoever has not looked since long has not looked for that long.
		now := l.Clock.Now()
		l.report.Lasted, l.report.Longest = now.Sub(l.began), max(l.report.Longest, now.Sub(l.last))
	}
	return l.report
}

func (l *Onlooker) run(ctx context.Context) {
	defer close(l.stopped)
	ticker := l.Clock.NewTicker(l.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
			l.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (l *Onlooker) look(ctx context.Context) {
	now, err := l.World(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		l.note(err.Error())
		return
	}
	l.report.Looks++
	l.report.Longest = max(l.report.Longest, l.Clock.Since(l.last))
	l.last = l.Clock.Now()
	for _, violation := range l.Judge(now) {
		l.note(violation)
	}
	maps.Copy(l.report.Identities, Identities(now))
	if state := Summary(now); state != l.state {
		l.state = state
		l.Steps.Add()
	}
}

func (l *Onlooker) note(violation string) {
	if _, known := l.report.Violations[violation]; known {
		return
	}
	l.report.Violations[violation] = l.Clock.Now()
	if l.Found != nil {
		l.Found(violation)
	}
}
