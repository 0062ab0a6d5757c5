// Package kubeapi is a stand-in for the API server of a workload cluster: a
// store of Kubernetes' built-in types in memory and an HTTP handler that serves
// them as the real one would, as far as Cluster API, Capstan and kubectl use it.
//
// Real are: resource versions and conflicts, watches with history, bookmarks and
// "410 Gone", finalizers, generations, UIDs, status subresources, label and field
// selectors, merge, strategic, JSON and apply patches with managed fields, dry
// runs, field validation, discovery, tables, evictions, port forwarding, bootstrap
// tokens and certificate signing requests, cluster IPs and node ports.
//
// Stood in for are: authorisation (a client certificate of the cluster's CA may
// do anything, a bootstrap token may do what kubeadm join needs), and the
// controllers and scheduler: objects such as Deployments are stored and nothing
// runs them. Custom resources are not served.
//
// It knows nothing of machines, seeds or etcd: whether it may answer is told it by
// its caller. Cluster API's own in-memory server is not used because it restarts
// resource versions when its objects are loaded from disk, has no UIDs, treats a
// strategic merge patch as a plain one, and cannot select by field.
package kubeapi
