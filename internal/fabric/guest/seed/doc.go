// Package seed reads a NoCloud seed the way a real guest does: an ISO9660 image
// with meta-data, network-config and user-data. For cloud-init, in Linux,
// user-data is a cloud-config or a MIME archive of them, merged by its own rules;
// for cloudbase-init, in Windows, it is one cloud-config.
//
// It is strict. Where they would log a warning and leave a broken machine
// behind, reading the seed fails and says why, so that a wrong seed is found by
// the first test that boots it. What it supports is what Cluster API's kubeadm
// bootstrap provider and Capstan write; anything else is an error, never a guess.
//
// It knows nothing of virtual machines, clusters or Kubernetes' API.
package seed
