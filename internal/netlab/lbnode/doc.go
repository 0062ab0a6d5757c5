// Package lbnode makes a node of a laboratory a load-balancer VM: it runs there what
// images/lb runs in a VM, with the same commands and settings, by netlab's supervisor
// in place of systemd.
//
// Nothing of enrolment and plans may enter: whoever has the node is its manager.
package lbnode
