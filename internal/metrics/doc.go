// Package metrics holds the metrics of Capstan's own, which the manager serves
// beside those of controller-runtime, from the same registry. docs/metrics.md
// tells what each of them means.
//
// Whatever measures enters; nothing that decides may read a metric back. Every
// label has a bounded set of values: kinds, phases, conditions and reasons are
// constants, and the names of hosts, failover clusters and volumes go when the
// hosts do. Names of other objects, messages and errors never become labels.
package metrics
