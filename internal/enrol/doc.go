// Package enrol carries the enrolment and renewal of internal/pki over gRPC. Host
// agents and load-balancer agents serve the same service with the same code, and
// the manager calls both alike.
//
// It decides nothing: who is trusted, and when, is internal/pki's business. Only
// messages, peers' TLS states and error codes are carried between the two. No
// Kubernetes may enter.
package enrol
