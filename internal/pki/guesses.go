package pki

import "time"

const (
	guessBurst  = 16
	guessRefill = time.Second
)

// guesses bounds how fast wrong proofs are looked at. It refills, because a
// lock that a stranger can close would let him keep the manager out for good;
// what makes guessing hopeless is the secret's 256 bits.
type guesses struct {
	wrong int
	since time.Time
}

// refused reports whether the allowance is used up.
func (g *guesses) refused(now time.Time) bool {
	if now.Before(g.since) {
		g.since = now
	}
	if back := now.Sub(g.since) / guessRefill; back > 0 {
		g.wrong = int(max(0, time.Duration(g.wrong)-back))
		g.since = now
	}
	return g.wrong >= guessBurst
}

func (g *guesses) fail() { g.wrong++ }
