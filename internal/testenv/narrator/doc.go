// Package narrator follows what the whole product does and tells it on a terminal, for
// programs that bring it up: the demo, and the end-to-end run with real guests. It
// applies nothing and decides nothing; what is told, in which order, is the program's.
package narrator
