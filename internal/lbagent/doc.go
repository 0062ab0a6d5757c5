// Package lbagent is the agent in a load-balancer VM, apart from what carries a
// plan out: it answers the manager, judges plans, puts them in force through an
// Applier in the order of their generations, puts the last good one back when
// that fails, keeps it on disk and comes up with it alone.
//
// An Applier is handed in. Nothing of Kubernetes may enter, and no decision about
// what a plan should say.
package lbagent
