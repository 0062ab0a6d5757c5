// Package pacing lets an object rest after it was worked on, so that changes that
// come in a burst are answered in one round of its reconciler and one write
// instead of many. How long is for the system itself to say: a round that took
// long, because much is going on, is followed by a long rest; where all is quiet
// rounds are short, and so are rests.
//
// It knows queues and nothing of what is in them.
package pacing
