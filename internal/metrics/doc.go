// Package metrics holds the metrics of Capstan's own, which the manager serves
// beside those of controller-runtime, from the same registry. docs/metrics.md
// tells what each of them means.
//
// Whatever measures enters; nothing that decides may read a metric back. Every
// label has a bounded set of values: kinds, phases, conditions and reasons are
// constants, and the name of a host goes when the host does. Names of objects,
// messages and errors never become labels.
package metrics
