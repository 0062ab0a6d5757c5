//go:build tools

// Package kube pins the Kubernetes programs that the management API server of
// demo and tests is built from. It is a module of its own so that
// k8s.io/kubernetes never enters the product's dependency graph.
package kube

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
