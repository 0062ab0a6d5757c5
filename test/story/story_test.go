package story

import (
	"context"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/onlooker"
)

var (
	seed  = flag.Uint64("seed", 0, "seed of what is killed when; 0 for the time of day")
	kills = flag.Int("kills", 20, "how often something is killed")
)

// patience is how long a chapter may take to come to its end.
const patience = 3 * time.Minute

// chapter is a part of the story.
type chapter struct {
	title string
	// share of all kills that fall into the chapter.
	share float64
	// steps is how many there are in the chapter, about, when nothing is killed.
	steps int
	// act is what a person does, and settled holds when all that follows from it
	// has happened.
	act     func()
	settled func(g Gomega)
}

// teller tells the story in an environment.
type teller struct {
	*world
	t        *testing.T
	killer   *killer
	onlooker *onlooker.Onlooker
	witness  *witness
	// abandoned are the halves of machines that were seen.
	abandoned map[string]bool
}

func TestKillingManagerAndAgentsChangesNothingInTheEnd(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d: repeat with hack/story.sh -seed=%d", *seed, *seed)

	w := startWorld(t)
	auditor, err := w.Env.NewAuditor(w.Ctx)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Run("the auditor finds what is left over", func(t *testing.T) { findsLeftovers(t, w, auditor) })

	progress := onlooker.NewTally()
	s := &teller{
		world: w, t: t, abandoned: map[string]bool{}, witness: startWitness(t, w, progress), onlooker: startOnlooker(t, w, progress),
		killer: &killer{env: w.Env, random: rand.New(rand.NewPCG(*seed, 0)), progress: progress, log: t.Logf},
	}
	for i, c := range s.chapters() {
		t.Run(c.title, func(t *testing.T) { s.tell(t, c, s.quota(i)) })
		if t.Failed() {
			s.explain()
			return
		}
	}
	g := NewWithT(t)
	g.Expect(auditor.WaitClean(w.Ctx, patience)).To(Succeed())
	g.Expect(s.killer.done).To(HaveLen(*kills))
	s.witness.check(t, finish(t, s.onlooker))
	t.Logf("RESULT story=ok seed=%d kills=%d of_manager=%d retried=%d abandoned=%d", *seed, len(s.killer.done), s.killer.of(demoenv.Manager), w.Retried, len(s.abandoned))
}

func (s *teller) chapters() []chapter {
	return []chapter{
		{"apply", 0.4, 130, s.apply, func(g Gomega) { s.stands(g, 1) }},
		{"scale to 3", 0.25, 85, func() { s.scale(3) }, func(g Gomega) { s.stands(g, 3) }},
		{"scale to 1", 0.15, 35, func() { s.scale(1) }, func(g Gomega) { s.stands(g, 1) }},
		{"delete", 0.2, 50, s.remove, s.gone},
	}
}

// quota is how many kills fall into a chapter; the last has what the rounding
// left.
func (s *teller) quota(index int) int {
	left := *kills
	for i, c := range s.chapters() {
		share := int(c.share * float64(*kills))
		if i == len(s.chapters())-1 {
			share = left
		}
		if i == index {
			return share
		}
		left -= share
	}
	return 0
}

// tell has its end only when all kills of the chapter have happened and it has
// settled after them.
func (s *teller) tell(t *testing.T, c chapter, quota int) {
	t.Helper()
	g := NewWithT(t)
	began := time.Now()
	s.t = t
	ctx, cancel := context.WithTimeout(s.Ctx, patience)
	defer cancel()
	moments, killed := s.killer.plan(c, quota), make(chan error, 1)
	first := s.killer.progress.Count()
	go func() { killed <- s.killer.spend(ctx, c, moments) }()
	c.act()
	g.Eventually(ctx, c.settled).WithPolling(lookInterval).WithTimeout(patience).Should(Succeed())
	steps, seconds := s.killer.progress.Count()-first, time.Since(began).Seconds()
	g.Eventually(killed).WithContext(ctx).WithTimeout(patience).Should(Receive(BeNil()))
	g.Eventually(ctx, c.settled).WithPolling(lookInterval).WithTimeout(patience).Should(Succeed())
	g.Expect(context.Cause(s.Ctx)).NotTo(HaveOccurred())
	t.Logf("%s: settled after %.1f s and %d steps, and again after all kills at %.1f s", c.title, seconds, steps, time.Since(began).Seconds())
}
