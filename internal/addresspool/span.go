package addresspool

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
)

// span is a run of addresses, both ends included.
type span struct {
	first, last netip.Addr
	// written is which of the ranges that somebody wrote it is of.
	written int
}

func (s span) contains(a netip.Addr) bool { return !a.Less(s.first) && !s.last.Less(a) }

// without returns what is left of a span without the addresses of others.
func (s span) without(others []span) []span {
	left := []span{s}
	for _, o := range others {
		var next []span
		for _, l := range left {
			if o.last.Less(l.first) || l.last.Less(o.first) {
				next = append(next, l)
				continue
			}
			if l.first.Less(o.first) {
				next = append(next, span{first: l.first, last: o.first.Prev(), written: l.written})
			}
			if o.last.Less(l.last) {
				next = append(next, span{first: o.last.Next(), last: l.last, written: l.written})
			}
		}
		left = next
	}
	return left
}

// size is how many addresses there are, at most MaxInt64.
func (s span) size() int64 {
	firstHigh, firstLow := halves(s.first)
	lastHigh, lastLow := halves(s.last)
	low, borrow := bits.Sub64(lastLow, firstLow, 0)
	high, _ := bits.Sub64(lastHigh, firstHigh, borrow)
	if high != 0 || low >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(low) + 1
}

func halves(a netip.Addr) (high, low uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}
