// Package pacing lets an object rest after it was worked on, so that changes that
// come in a burst are answered in one round of its reconciler and one write
// instead of many. The more objects are busy the longer each one rests: one that is
// alone is looked at again at once, and of a hundred that come up together each
// waits for the others anyway, so that it may as well see more changes at a time.
//
// Its queues end at once when they are told to, as controller-runtime's own, which are
// within them, do not always do; where nothing is to rest, the zero Pace is for this.
//
// It knows queues and nothing of what is in them.
package pacing
