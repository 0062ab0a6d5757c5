// Package meddle stands between programs that speak with each other and does to their
// connections what networks and busy servers do: holds one direction, delays, leads
// astray, cuts, refuses, loses answers. What is done is counted, so that whoever meddles
// knows whether anybody noticed.
//
// It knows of bytes and of HTTP, and nothing of what is said: what a program must do
// about it belongs to the suites under test/.
package meddle
