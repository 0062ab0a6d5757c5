// Package lbvm is the network of a fabric where load-balancer VMs are machines of
// their own: each is a network namespace with a NIC at a switch, in which capstan-lb,
// HAProxy and keepalived run as they ship and elect by VRRP who holds a VIP. Other
// guests are in the fabric's process and have their addresses at the same switch.
//
// It is for fabrics that have entered a laboratory (see internal/netlab); others
// have internal/fabric/lbguest. Like that one it reads nothing but what is on a
// guest's disk and in its seed.
package lbvm
