// Command capi-manifests derives config/capi from the Cluster API module that
// go.mod pins: the CRDs, the webhook configurations and the cluster roles of
// the core, kubeadm bootstrap and kubeadm control plane providers, rewritten
// for one manager that serves all three.
//
// It reads the module and writes files, and does nothing else: what is not in
// upstream's own manifests may not be added here, except the names and labels
// by which Capstan knows its installation, and conditions under which a webhook need
// not be asked. `make verify` runs it and fails on
// any difference.
package main
