package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// wish is a cluster as the user wants it.
type wish struct {
	namespace, name  string
	members, workers int32
	version          string
}

func (w wish) key() string { return w.namespace + "/" + w.name }

func (w wish) pool() string { return w.name + "-linux" }

// act is what a user does with a cluster.
type act string

// What users do.
const (
	creates  act = "creates"
	scales   act = "scales"
	resizes  act = "resizes"
	upgrades act = "upgrades"
	deletes  act = "deletes"
)

// Bounds of what a user wants, small enough for a small machine.
const (
	mostClusters = 3
	mostWorkers  = 3
)

// Versions that a cluster is created with and upgraded to.
const (
	firstVersion = "v1.36.3"
	nextVersion  = "v1.36.4"
)

// namespaces are those in which clusters are made.
var namespaces = []string{"red", "blue"}

// user wants clusters, and changes their mind. What they want depends on the seed alone.
type user struct {
	random *rand.Rand
	wishes []wish
	made   int
}

func newUser(seed uint64) *user { return &user{random: rand.New(rand.NewPCG(seed, 2))} }

// next draws what the user does now, and returns the cluster as it shall be then.
func (u *user) next() (act, wish) {
	if len(u.wishes) < 2 {
		return u.create()
	}
	i := u.random.IntN(len(u.wishes))
	w := &u.wishes[i]
	switch n := u.random.IntN(12); {
	case n < 3 && len(u.wishes) < mostClusters:
		return u.create()
	case n < 5 && len(u.wishes) == mostClusters:
		gone := *w
		u.wishes = slices.Delete(u.wishes, i, i+1)
		return deletes, gone
	case n < 7 && w.version == firstVersion:
		w.version = nextVersion
		return upgrades, *w
	case n < 9:
		// Even numbers of members are nobody's wish.
		w.members = 4 - w.members
		return resizes, *w
	default:
		w.workers = (w.workers + 1 + u.random.Int32N(mostWorkers)) % (mostWorkers + 1)
		return scales, *w
	}
}

func (u *user) create() (act, wish) {
	u.made++
	w := wish{
		namespace: namespaces[u.made%len(namespaces)], name: fmt.Sprintf("c%d", u.made),
		members: 1 + 2*u.random.Int32N(2), workers: 1 + u.random.Int32N(mostWorkers-1), version: firstVersion,
	}
	u.wishes = append(u.wishes, w)
	return creates, w
}
