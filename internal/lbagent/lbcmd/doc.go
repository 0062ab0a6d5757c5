// Package lbcmd is the command line of the load-balancer agent: flags in, an agent
// that serves, and the probe by which keepalived learns whether this VM is fit to hold
// VIPs: HAProxy answers, and somebody is heard on the network.
package lbcmd
