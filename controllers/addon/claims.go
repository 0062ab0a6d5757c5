package addon

import "github.com/capstan-k8s/capstan/internal/addons"

// claims are the objects that each addon of the spec wants. None are known, not even
// that there are none, of an addon whose manifests cannot be had: it may want anything.
type claims map[string]map[addons.ID]bool

func claimsOf(steps []*step) claims {
	all := claims{}
	for _, one := range steps {
		switch {
		case one.leaves:
		case one.addon == nil:
			all[one.name] = nil
		default:
			all[one.name] = wantedBy(one.addon)
		}
	}
	return all
}

// wantedBy returns what an addon wants without asking which kinds have namespaces: what
// says none is in the addon's or in none, and no object is in the one that is wrong.
func wantedBy(addon *addons.Addon) map[addons.ID]bool {
	wanted := make(map[addons.ID]bool, len(addon.Objects))
	for _, object := range addon.Objects {
		id := addons.IDOf(object)
		wanted[id] = true
		if id.Namespace == "" {
			id.Namespace = addon.Namespace
			wanted[id] = true
		}
	}
	return wanted
}

// by tells whether an addon of the spec wants an object, or may want it.
func (c claims) by(addon string, id addons.ID) bool {
	wanted, inSpec := c[addon]
	return inSpec && (wanted == nil || wanted[id])
}

// byOther tells whether any other addon of the spec does.
func (c claims) byOther(addon string, id addons.ID) bool {
	for other := range c {
		if other != addon && c.by(other, id) {
			return true
		}
	}
	return false
}
