// Package hostapi is the boundary between Capstan and a Hyper-V host: the
// domain types, the Driver interface that every kind of host implements, the
// error classes, and the protocol between manager and host agent.
//
// The manager speaks it through internal/hostclient, the agent serves it
// through internal/agent, and internal/driver/* implements Driver. Nothing of
// Kubernetes may enter: agents link no Kubernetes.
package hostapi
