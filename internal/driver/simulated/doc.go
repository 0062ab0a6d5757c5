// Package simulated is the driver of a host in the fabric. It makes VMs in the
// steps in which Hyper-V makes them, each a call of its own, so that whatever
// can go wrong between two steps there can go wrong here.
//
// It has no memory: what it needs to know it reads from the host. It reaches
// the fabric only through the host's socket, by fabricapi.
package simulated
