// Package keepalived makes a running keepalived hold the VIPs of a plan: it
// renders the configuration file, has it checked, and reloads. It starts and
// stops no keepalived and never restarts one, for a restart gives VIPs away.
//
// Peers are declared: the list in the file is always the plan's, whole. Nothing of
// Kubernetes and nothing of HAProxy may enter.
package keepalived
