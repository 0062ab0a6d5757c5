// Package service looks after Services of type LoadBalancer in workload clusters. For
// each cluster that can be reached it runs Kubernetes' own service and node lifecycle
// controllers, with a cloud provider whose load balancer is the cluster's LoadBalancer
// in the management cluster, and ends them when the cluster cannot be reached, is
// paused or is deleted.
//
// It claims virtual addresses, tells the LoadBalancer of Services and nodes, in
// batches, and publishes a Service's address once its ports are carried. How they are
// carried is not decided here; that addresses come free is up to whoever carries them.
// Everything that is read in a workload cluster is somebody else's text, and none of it
// reaches the LoadBalancer unless it is known to be harmless.
package service
