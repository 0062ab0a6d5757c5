// Package guests puts the simulated guests into the fabric's VMs: the machines
// of internal/fabric/guest, and the load balancers of internal/fabric/lbguest,
// which share one network segment.
//
// It only joins them. What guests do belongs into their own rooms.
package guests
