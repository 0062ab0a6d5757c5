// Package logs says what every line of the manager's log about an object bears:
// the ID of the VM that it is about, its cluster and its owners, by the keys that
// Cluster API uses. docs/metrics.md lists them.
//
// A logger is made once, at the top of a reconcile. Nothing is decided here, and
// nothing that may be secret enters: names and IDs do, data does not.
package logs
