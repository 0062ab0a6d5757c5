// Package lbapitest has what stands behind a load balancer, for tests: servers,
// connections to them, and a certificate authority.
package lbapitest
