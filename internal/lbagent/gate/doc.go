// Package gate holds back whoever connects anew to a VIP, for the moment in which the
// VIP moves to another machine: the kernel does not answer, so that clients try again
// by themselves, a second later. What is connected already goes on.
//
// Which VIPs are to move, and when, is decided in internal/lbagent/engine.
package gate
