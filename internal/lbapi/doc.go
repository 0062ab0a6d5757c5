// Package lbapi is the boundary between the manager and a load-balancer VM: the
// typed plan that says everything the VM shall do, its validation and canonical
// hash, what a load balancer reports back, the errors it answers with, the
// configuration it boots with, and the protocol that carries them.
//
// A plan is data, never configuration text: whatever renders it may rely on
// Validate and need not quote. Nothing of Kubernetes may enter, and no decision:
// plans are worked out in internal/lbplan and carried out in internal/lbagent.
package lbapi
