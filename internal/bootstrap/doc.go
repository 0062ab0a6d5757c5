// Package bootstrap makes the seed of a VM: the image of a DVD from which the
// guest learns who it is, how it reaches the network and what to do at its first
// boot. It is a pure function: no clock, no randomness, no file, no Kubernetes.
// Equal input gives equal bytes. Only the standard library and the image writer
// below this folder may be imported.
//
// # What the guest reads
//
// The seed is cloud-init's NoCloud data source: a volume labelled cidata with
// the files meta-data, network-config (version 2) and user-data. All three are
// written as JSON, which is YAML: the standard library's encoder knows how to
// quote, and no content can break out of its place.
//
// # User data
//
// What Cluster API's bootstrap provider wrote is passed on byte by byte, never
// parsed. Capstan's own additions come beside it as a second part of a MIME
// multipart archive (archive.go says why in this form).
//
// # What the image of the guest must bring
//
// containerd with config_path = "/etc/containerd/certs.d", an NTP client that
// cloud-init knows (chrony, systemd-timesyncd), update-ca-certificates, the unit
// capstan-lb.service in images of load balancers, and ds-identify left on: see
// pinned in additions.go.
package bootstrap
