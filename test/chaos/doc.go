// Command chaos lets a random user build, change and delete workload clusters on
// simulated hosts while one fault after the other befalls hosts, volumes, networks,
// agents, the manager and its API server, all by one seed; and it audits what that comes
// to. The auditor reads the hosts. It asks the management API server only what it asks
// for its users: whether whatever waits says why.
//
// A fault counts once it is known to have changed something: a call was hit, a process
// died, a VM moved. docs/chaos.md tells how a kind of fault is added.
package main
