// Package addon applies the addons of WorkloadClusters: it reads their manifests in the
// management cluster, applies them in the workload cluster in order, deletes there what
// they no longer hold, and tells how each one is.
//
// What manifests mean is decided in internal/addons. It touches nothing in a workload
// cluster that it did not make, and holds up nothing in the management cluster: a
// cluster that cannot be reached, or is deleted, waits for no addon.
package addon
