// Package clients rolls what stands between a cluster's users and its API server,
// load-balancer VMs and control-plane machines, on the real programs and with the
// HAProxy and keepalived that load-balancer VMs have, while stock curl and kubectl ask
// through the VIP without pause. None of their commands may fail.
//
// It takes minutes and a machine of its own, so hack/clients.sh runs it and not
// hack/test.sh. How keepalived moves a VIP belongs to test/lb; faults that nobody
// planned, to test/ha.
package clients
