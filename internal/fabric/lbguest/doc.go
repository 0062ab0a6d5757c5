// Package lbguest is what runs in a simulated load-balancer VM: the agent of
// internal/lbagent as it is, and in place of HAProxy and keepalived a balancer in
// Go that binds the plan's VIPs and carries connections, and a segment on which
// such guests hear each other's VRRP.
//
// It is for the fabric alone, and keeps to what the real ones do where a client
// or the manager could tell: who may hold a VIP and when, which backend gets a
// connection, what a change of plan disturbs. It reads nothing but the
// configuration from its seed and the plans that the manager gives it.
package lbguest
