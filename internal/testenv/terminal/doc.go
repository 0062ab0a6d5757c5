// Package terminal is what programs share that bring the whole product up for a
// person at a terminal: their flags, how they begin and end, and the screen on which
// they tell of it.
//
// What they tell is their own.
package terminal
