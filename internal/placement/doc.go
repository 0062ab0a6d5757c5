// Package placement decides on which host a VM runs and on which volume each of
// its disks lies, or says why there is no place for it.
//
// It is a pure function of a request and a snapshot: the same input gives the
// same answer, in whatever order hosts and volumes are listed. Nothing in here
// asks a host, reads a clock, draws a random number or knows Kubernetes; only
// the standard library may be imported.
//
// # How a decision is made
//
// Candidates are pairs of a host and a volume that the host can reach: a cluster
// shared volume of its failover cluster, or a volume of its own where it stands
// alone. Hosts and volumes that share their reach form a scope.
//
// Filters (filters.go) take away what cannot be. Each has a name and a reason,
// and the first that fails is why a host or volume is not taken. Scores
// (scores.go) then narrow what is left, one after the other: a score keeps the
// candidates that are best by it, and the next judges only those. So an earlier
// score always outweighs all later ones together. Every score looks at the host
// or at the volume alone, never at both: what is left is, in each scope, all its
// remaining hosts with all its remaining volumes, and no pair is ever listed.
//
// # What counts as taken
//
// Storage is counted by the virtual size of disks, whatever their files take
// now, because dynamic disks grow. Placements that were decided but that the
// host does not report yet (InFlight) count like all others. Memory is the
// smaller of two figures, since each misses something: what the placements leave
// (they include VMs that are off), and what the host reports as free (it
// includes VMs that are not ours).
//
// # Unreachable is not full
//
// A host that does not answer is no candidate, but it is judged by what was last
// known of it. If it would fit, or if nothing is known of it, the answer is
// HostUnreachable and never a lack of capacity.
package placement
