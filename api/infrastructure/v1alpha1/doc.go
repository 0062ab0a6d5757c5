// Package v1alpha1 holds the API types of group infrastructure.cluster.x-k8s.io:
// Cluster API's infrastructure contract v1beta2 for Hyper-V. A plain Cluster API
// user writes them; a WorkloadCluster fills them in.
//
// Source: Cluster API book, provider contracts InfraCluster and InfraMachine.
//
// +kubebuilder:object:generate=true
// +groupName=infrastructure.cluster.x-k8s.io
package v1alpha1
