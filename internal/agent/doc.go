// Package agent is the host agent: it stands between the manager and the driver
// of one host, and adds what a driver does not have. It keeps a journal on disk,
// lets one call at a time touch a VM, checks whose a VM is before it changes it,
// runs long work apart from the call that asked for it, and honours tombstones
// before it starts anything.
//
// The order of things in every change is: journal, then effect, then outcome. A
// process that is killed between any two of them finds in its journal what to go
// on with, and the driver's idempotence does the rest.
//
// Nothing of Kubernetes and no driver may enter: drivers are handed in.
package agent
