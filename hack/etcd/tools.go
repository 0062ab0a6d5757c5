//go:build tools

// Package etcd pins the etcd that stands behind the management API server of
// demo and tests, apart from the etcd client that Cluster API brings.
package etcd

import _ "go.etcd.io/etcd/server/v3"
