package main

import (
	"math/rand/v2"
	"time"
)

// moment is something that happens, as it is planned: a fault or, where the kind is
// empty, something that the user does.
type moment struct {
	number int
	kind   string
	// It happens so many steps after the moment before, and then a little later.
	steps int
	later time.Duration
	// chance chooses among what there is when it happens.
	chance uint64
}

const (
	// actEvery is how many moments there are for each of the user's.
	actEvery = 5
	// mostSteps is how far moments are apart at the most.
	mostSteps = 6
	// atOnce is the longest time after a step that still belongs to it.
	atOnce = 60 * time.Millisecond
	// longestPause is for moments that have to do with nothing.
	longestPause = 1500 * time.Millisecond
)

// plan draws moments. What it draws depends on its seed and its kinds alone.
type plan struct {
	random *rand.Rand
	kinds  []string
	deck   []string
	drawn  int
}

// newPlan returns a plan of kinds of faults, each named as often as it shall come among
// the others.
func newPlan(seed uint64, kinds []string) *plan {
	return &plan{random: rand.New(rand.NewPCG(seed, 1)), kinds: kinds}
}

// next draws the next moment. The user comes first, for without anything there is
// nothing to break.
func (p *plan) next() moment {
	m := moment{number: p.drawn, steps: p.random.IntN(mostSteps), chance: p.random.Uint64()}
	longest := atOnce
	if p.random.IntN(4) == 0 {
		longest = longestPause
	}
	m.later = time.Duration(p.random.Int64N(int64(longest)))
	if p.drawn%actEvery != 0 {
		m.kind = p.draw()
	}
	p.drawn++
	return m
}

// draw takes a kind from a deck that has all of them, so that none is left out for long.
func (p *plan) draw() string {
	if len(p.deck) == 0 {
		p.deck = append(p.deck, p.kinds...)
		p.random.Shuffle(len(p.deck), func(i, j int) { p.deck[i], p.deck[j] = p.deck[j], p.deck[i] })
	}
	last := len(p.deck) - 1
	kind := p.deck[last]
	p.deck = p.deck[:last]
	return kind
}

// choose returns one of several, and false where there is none.
func choose[T any](r *rand.Rand, among []T) (T, bool) {
	if len(among) == 0 {
		var none T
		return none, false
	}
	return among[r.IntN(len(among))], true
}

// between returns a time between two.
func between(r *rand.Rand, shortest, longest time.Duration) time.Duration {
	return shortest + time.Duration(r.Int64N(int64(longest-shortest)))
}
