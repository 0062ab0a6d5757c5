// Package lb runs two load-balancer VMs as they ship, in network namespaces, and does
// to them what befalls such VMs: no change that was planned loses a request or breaks
// a stream, and after every fault exactly one VM holds the VIP, soon.
//
// hack/test.sh runs it with a load that leaves room for other packages; hack/lb.sh
// runs it with 5,000 connections a second, and all of it. What a plan looks like in a
// configuration file belongs to the tests of internal/lbagent.
package lb
