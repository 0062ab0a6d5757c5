// Package lbplan works out what the VMs of a load balancer shall do: from VIPs,
// load-balancer VMs and control-plane machines to one lbapi.Plan per VM.
//
// It is pure: the same input, in any order, gives the same plans. It reads and
// writes nothing, numbers no generations, and knows no API types; the LoadBalancer
// controller gathers its input and hands its output to internal/lbclient.
package lbplan
