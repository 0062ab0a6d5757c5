// Package fullstack brings the whole product up for a test: the real programs, as
// the demo runs them, in a folder and a network of their own, so that several can
// run on one machine.
//
// What is done there and what is expected belongs to the suites under test/.
package fullstack
