// Package bootstrap makes the seed of a VM: the image of a DVD from which the
// guest learns who it is, how it reaches the network and what to do at its first
// boot. It is a pure function: no clock, no randomness, no file, no Kubernetes.
// Equal input gives equal bytes. Only the standard library, the image writer
// below this folder and a reader of YAML may be imported.
//
// # What the guest reads
//
// The seed is cloud-init's NoCloud data source: a volume labelled cidata with
// the files meta-data, network-config and user-data. All three are written as
// JSON, which is YAML: the standard library's encoder knows how to quote, and no
// content can break out of its place.
//
// # User data
//
// For Linux, what Cluster API's bootstrap provider wrote is passed on byte by
// byte, never parsed. Capstan's own additions come beside it as a second part of a
// MIME multipart archive (archive.go says why in this form).
//
// For Windows it is read, rendered, and joined with the additions in one
// cloud-config, for cloudbase-init renders no template in an archive and merges
// nothing. What it would not heed is an error (docs/adr/0008).
//
// # What the image of a Linux guest must bring
//
// containerd with config_path = "/etc/containerd/certs.d", an NTP client that
// cloud-init knows (chrony, systemd-timesyncd), update-ca-certificates, the unit
// capstan-lb.service in images of load balancers, and ds-identify left on: see
// pinned in additions.go.
//
// # What the image of a Windows guest must bring
//
// cloudbase-init (1.1.9 was read), as a service that starts by itself and may
// restart the machine, with the metadata service NoCloudConfigDriveService and
// the plugins SetHostNamePlugin, NetworkConfigPlugin and UserDataPlugin, in this
// order; kubeadm in the path, and containerd and kubelet as services of these
// names, containerd with config_path = 'C:\Program Files\containerd\certs.d' and
// kubelet started with what kubeadm writes to kubeadm-flags.env.
package bootstrap
