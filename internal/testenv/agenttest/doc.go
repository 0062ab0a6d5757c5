// Package agenttest runs a host agent in the test's own process, behind real
// gRPC and real mutual TLS, around any driver. It has a small driver with state,
// recorded calls and injectable failures, and a clock that only a test moves.
//
// Only tests may import it.
package agenttest
