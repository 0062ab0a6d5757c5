// Package lblab runs load-balancer VMs as they ship, in a laboratory of network
// namespaces: capstan-lb with HAProxy and keepalived, enrolled and given plans as the
// manager does it, before clients that count what they lose.
//
// netlab's supervisor stands in for systemd. The package asserts nothing: the suites
// in test/lb and the measurements in test/bench/lb do.
package lblab
