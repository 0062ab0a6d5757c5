package story

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/testenv/onlooker"
)

// lookInterval is how often the onlooker looks; mustLook how often, on average,
// it must have done so at the least. That tells an onlooker that has died from one on a
// busy machine; how much was seen is in the log.
const (
	lookInterval = 25 * time.Millisecond
	mustLook     = time.Second
)

func startOnlooker(t *testing.T, w *world, steps *onlooker.Tally) *onlooker.Onlooker {
	t.Helper()
	o := onlooker.Start(w.Ctx, onlooker.Options{
		World: func(ctx context.Context) (fabricapi.World, error) { return w.Env.World(ctx) },
		Every: lookInterval, Steps: steps,
		Judge: func(now fabricapi.World) []string {
			return slices.Concat(onlooker.Unstamped(now), onlooker.Doubles(now))
		},
	})
	t.Cleanup(func() { o.Stop() })
	return o
}

// finish ends the looking, fails the test if anything was wrong at any time, and
// returns the identities that were seen.
func finish(t *testing.T, o *onlooker.Onlooker) map[string]string {
	t.Helper()
	g := NewWithT(t)
	seen := o.Stop()
	g.Expect(slices.Sorted(maps.Keys(seen.Violations))).To(BeEmpty())
	g.Expect(seen.Looks).To(BeNumerically(">=", seen.Lasted/mustLook), "nobody looked any more")
	t.Logf("looked at the hosts %d times in %.0f s, with %.2f s at most between two looks", seen.Looks, seen.Lasted.Seconds(), seen.Longest.Seconds())
	return seen.Identities
}
