// Package lbcmd is the command line of the load-balancer agent: flags in, an agent
// that serves, and the probe by which keepalived learns whether HAProxy answers.
package lbcmd
