package lbapi

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// Canonical returns p with every list in its canonical order and no list empty
// but not nil, so that two plans that mean the same are equal.
func Canonical(p Plan) Plan {
	p = p.Clone()
	p.VIPs = sorted(p.VIPs, func(a, b VIP) int {
		return cmp.Or(strings.Compare(a.Address, b.Address), strings.Compare(a.Network, b.Network), cmp.Compare(a.VRID, b.VRID), strings.Compare(a.Interface, b.Interface))
	})
	p.Peers = sorted(p.Peers, func(a, b Peer) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Address, b.Address), cmp.Compare(a.Priority, b.Priority))
	})
	for i := range p.Frontends {
		f := &p.Frontends[i]
		f.AllowedSources = sorted(f.AllowedSources, strings.Compare)
		f.Backends = sorted(f.Backends, func(a, b Backend) int {
			return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
		})
	}
	p.Frontends = sorted(p.Frontends, func(a, b Frontend) int { return strings.Compare(a.Name, b.Name) })
	return p
}

func sorted[T any](s []T, compare func(a, b T) int) []T {
	if len(s) == 0 {
		return nil
	}
	slices.SortStableFunc(s, compare)
	return s
}

// Hash identifies the content of a valid plan whatever the order of its lists.
// The generation is no part of it, so that whoever numbers plans can tell whether
// anything changed.
func Hash(p Plan) string {
	p.Generation = 0
	// A Plan holds strings, numbers and booleans only, which always marshal.
	b, err := json.Marshal(Canonical(p))
	if err != nil {
		panic("lbapi: marshal plan: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
