// Package logtest reads what a program writes to its log and its outputs.
//
// Only tests may import it.
package logtest
