// Package narrator follows what the whole product does and tells it on a terminal, for
// programs that bring it up: the demo, and the end-to-end run with real guests. For them
// it also does in workload clusters what both do there: it publishes a Service, and runs
// pods.
//
// What is told, in which order, is the program's: no chapters may enter, and nothing that
// changes the management cluster.
package narrator
