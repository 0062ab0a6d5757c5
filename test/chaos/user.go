package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// wish is a cluster as the user wants it.
type wish struct {
	namespace, name string
	// members of the control plane, workers on Linux, and workers on Windows.
	members, workers, windows int32
	// services of type LoadBalancer that the cluster has.
	services int32
	version  string
}

func (w wish) key() string { return w.namespace + "/" + w.name }

func (w wish) pool() string { return w.name + "-linux" }

func (w wish) windowsPool() string { return w.name + "-win" }

// pools are the names of all that there are.
func (w wish) pools() []string {
	if w.windows == 0 {
		return []string{w.pool()}
	}
	return []string{w.pool(), w.windowsPool()}
}

func (w wish) String() string {
	return fmt.Sprintf("%d members, %d workers and %d on Windows, %d Services, %s", w.members, w.workers, w.windows, w.services, w.version)
}

// act is what a user does with a cluster, or an administrator with a host.
type act string

// What users do.
const (
	creates   act = "creates"
	scales    act = "scales"
	resizes   act = "resizes"
	upgrades  act = "upgrades"
	publishes act = "publishes Services of"
	replaces  act = "asks for another machine of"
	deletes   act = "deletes"
)

// What administrators do.
const (
	drains    act = "drains"
	takesBack act = "takes back"
)

// doing is what is done next.
type doing struct {
	act
	// of is the cluster as it shall be then.
	of wish
	// host is what an administrator does it with.
	host string
}

func (d doing) String() string {
	if d.host != "" {
		return fmt.Sprintf("the administrator %s host %s", d.act, d.host)
	}
	return fmt.Sprintf("the user %s %s: %s", d.act, d.of.key(), d.of)
}

// Bounds of what a user wants, small enough for a small machine.
const (
	mostClusters = 3
	mostWorkers  = 3
	mostServices = 2
)

// Versions that a cluster is created with and upgraded to.
const (
	firstVersion = "v1.36.3"
	nextVersion  = "v1.36.4"
)

// namespaces are those in which clusters are made.
var namespaces = []string{"red", "blue"}

// user wants clusters, and changes their mind; they are the hosts' administrator, too.
// What they want depends on the seed alone.
type user struct {
	random *rand.Rand
	wishes []wish
	made   int
	// drained is the host that is to be empty, if there is one.
	drained string
}

func newUser(seed uint64) *user { return &user{random: rand.New(rand.NewPCG(seed, 2))} }

// next draws what the user does now.
func (u *user) next() doing {
	if len(u.wishes) < 2 {
		return u.create()
	}
	i := u.random.IntN(len(u.wishes))
	w := &u.wishes[i]
	switch n := u.random.IntN(18); {
	case n < 3 && len(u.wishes) < mostClusters:
		return u.create()
	case n < 5 && len(u.wishes) == mostClusters:
		gone := *w
		u.wishes = slices.Delete(u.wishes, i, i+1)
		return doing{act: deletes, of: gone}
	case n < 7 && w.version == firstVersion:
		w.version = nextVersion
		return doing{act: upgrades, of: *w}
	case n < 9:
		// Even numbers of members are nobody's wish.
		w.members = 4 - w.members
		return doing{act: resizes, of: *w}
	case n < 11:
		return doing{act: replaces, of: *w}
	case n < 13:
		return u.maintain()
	case n < 15:
		w.services = (w.services + 1) % (mostServices + 1)
		return doing{act: publishes, of: *w}
	default:
		w.workers = (w.workers + 1 + u.random.Int32N(mostWorkers)) % (mostWorkers + 1)
		return doing{act: scales, of: *w}
	}
}

func (u *user) create() doing {
	u.made++
	w := wish{
		namespace: namespaces[u.made%len(namespaces)], name: fmt.Sprintf("c%d", u.made),
		members: 1 + 2*u.random.Int32N(2), workers: 1 + u.random.Int32N(mostWorkers-1), windows: u.random.Int32N(2), version: firstVersion,
	}
	u.wishes = append(u.wishes, w)
	return doing{act: creates, of: w}
}

// maintain has a host drained, or taken back: one at a time, so that the others have room.
func (u *user) maintain() doing {
	if host := u.drained; host != "" {
		u.drained = ""
		return doing{act: takesBack, host: host}
	}
	u.drained = hostName(u.random.IntN(clustered + standAlone))
	return doing{act: drains, host: u.drained}
}
