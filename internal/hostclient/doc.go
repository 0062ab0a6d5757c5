// Package hostclient is the manager's side of the connection to a host agent: it
// implements hostapi.Agent over gRPC, with a deadline for every call and a typed
// error for every failure.
//
// Whether an agent is trusted is decided by internal/pki. Nothing of Kubernetes
// may enter; where pins and keys are stored is the caller's business.
package hostclient
