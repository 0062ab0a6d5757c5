// Package hyperv is the driver of a host with Hyper-V, alone or in a failover cluster. It speaks
// WMI to the host and to the other nodes of its cluster, and keeps its records, images and seeds
// as files on the volumes.
//
// It has no memory: what it needs to know it reads from Hyper-V, the cluster and the files. A VM
// is found by the stamp in its notes, which are part of the call that defines it; a disk is ours by the
// record in its folder, which is there before it. Before either, the VM is claimed: in a failover
// cluster by a group of the cluster's own, whose name only one node can take.
//
// Everything is above internal/driver/hyperv/wmi and hostfs, so that all of it runs in tests on any
// machine. COM may not enter, nor anything that knows Kubernetes.
package hyperv
