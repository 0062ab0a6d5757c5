// Package loadbalancer carries the VIP of a cluster's API server: it claims the
// address, keeps as many load-balancer VMs as are wanted, enrols the agent in
// each, and gives them all the newest plan.
//
// What a plan says is decided in internal/lbplan; how an agent is reached, in
// internal/lbclient. VMs are placed and made by the virtualmachine controller.
package loadbalancer
