package service

import (
	"fmt"
	"slices"
)

// newName returns what a new claim for a Service is called. A claim that is being deleted
// may stay for as long as a load-balancer VM cannot be asked whether it has its address,
// and must not keep a Service that was made again from an address of its own. Only a
// Service that goes on being carried waits for its claim to go: it has the address, and is
// to have the same again.
func (v *vips) newName(a ask, leaving []claimed) string {
	if lost := v.lostBy(a, leaving); lost != "" {
		return lost
	}
	name := v.lb.Name + "-vip-" + hash(a.vipKey+"/"+a.address)
	for n := 0; slices.ContainsFunc(leaving, func(c claimed) bool { return c.name == name }); n++ {
		name = v.lb.Name + "-vip-" + hash(fmt.Sprintf("%s/%s/%s/%d", a.vipKey, a.address, a.uid, n))
	}
	return name
}

// lostBy returns the claim that somebody has deleted of a Service that is carried, and
// that asks for no other address than it has, or "".
func (v *vips) lostBy(a ask, leaving []claimed) string {
	has, _, isCarried := v.book.get(a.entry.Name)
	if !isCarried || a.address != "" && a.address != has.VIP {
		return ""
	}
	used := v.wanted[a.entry.Name].name
	for _, c := range leaving {
		if c.name == used || c.address == has.VIP {
			return c.name
		}
	}
	return ""
}

// isLeaving says that the address that a new claim would ask for is another one's, which
// is being given back.
func isLeaving(chosen claimed, leaving []claimed) error {
	for _, c := range leaving {
		if c.address != "" && c.address == chosen.request && c.name != chosen.name {
			return &waitingError{fmt.Sprintf("%s, which comes free when no load-balancer VM can have it any more (IPAddressClaim %s)", c.address, c.name)}
		}
	}
	return nil
}

// allows tells whether a new claim may be made beside those that are known and those that
// are leaving, which have their addresses still. One that is made again in place of one
// that was lost is none more.
func (v *vips) allows(chosen claimed, known, leaving []claimed, swaps bool) error {
	limit, has := v.limit(), len(known)
	if swaps {
		has--
	}
	isChosen := func(c claimed) bool { return c.name == chosen.name }
	switch {
	case limit == nil, slices.ContainsFunc(leaving, isChosen):
		return nil
	case has >= int(*limit):
		return &crowdedError{fmt.Sprintf("the Services of this cluster have %d virtual addresses, and may have %d (spec.loadBalancer.maxServiceVIPs): "+
			"let Services share one, or ask the cluster's administrator for more", len(known), *limit)}
	case has+len(leaving) >= int(*limit):
		return &waitingError{fmt.Sprintf("one of %d virtual addresses to come free that are being given back: the Services of this cluster may have %d (spec.loadBalancer.maxServiceVIPs)",
			len(leaving), *limit)}
	}
	return nil
}
