package story

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/onlooker"
)

// killer kills the manager or an agent with SIGKILL, and starts it again at once
// as an init system would.
type killer struct {
	env      *demoenv.Env
	random   *rand.Rand
	progress *onlooker.Tally
	log      func(format string, args ...any)
	// done are the names of the victims.
	done []string
}

// moment is when a victim is killed: so many steps into the chapter, and then a
// little later.
type moment struct {
	step   int
	later  time.Duration
	victim string
}

const (
	// atOnce is the longest time after a step that still belongs to it.
	atOnce = 60 * time.Millisecond
	// longestPause is as long as a manager takes to start, so that one that starts
	// is killed, too.
	longestPause = 3 * time.Second
	// longestWait ends the waiting for steps when nothing happens any more.
	longestWait = 5 * time.Second
)

// plan draws the moments of a chapter, all at once, so that a seed means the same
// wherever it runs. They are spread evenly over the steps of the chapter, most
// right after a step, some at a time that has to do with nothing.
func (k *killer) plan(c chapter, quota int) []moment {
	moments := make([]moment, quota)
	for i := range moments {
		later := atOnce
		if k.random.IntN(4) == 0 {
			later = longestPause
		}
		moments[i] = moment{k.random.IntN(c.steps), time.Duration(k.random.Int64N(int64(later))), k.victim()}
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return cmp.Compare(a.step, b.step) })
	return moments
}

// spend kills as planned.
func (k *killer) spend(ctx context.Context, c chapter, moments []moment) error {
	began, first := time.Now(), k.progress.Count()
	for _, m := range moments {
		k.progress.Wait(ctx, first+m.step, longestWait)
		select {
		case <-time.After(m.later):
		case <-ctx.Done():
			return fmt.Errorf("waiting for the moment of a kill: %w", context.Cause(ctx))
		}
		k.done = append(k.done, m.victim)
		k.log("%s: %5.1f s: kill %d, of %s, at step %d, %s after %d", c.title, time.Since(began).Seconds(), len(k.done), m.victim,
			k.progress.Count()-first, m.later.Round(time.Millisecond), m.step)
		if err := k.env.Crash(m.victim); err != nil {
			return err
		}
	}
	return nil
}

// victim is the manager as often as all agents together, for it does more.
func (k *killer) victim() string {
	if k.random.IntN(2) == 0 {
		return demoenv.Manager
	}
	agents := slices.Sorted(maps.Keys(k.env.Agents))
	return demoenv.AgentName(agents[k.random.IntN(len(agents))])
}

func (k *killer) of(victim string) int {
	count := 0
	for _, name := range k.done {
		if name == victim {
			count++
		}
	}
	return count
}
