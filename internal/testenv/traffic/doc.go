// Package traffic asks a service through its VIP and counts exactly what became of
// each request and each long-lived connection, and stands behind the VIP to answer.
//
// A request is a connection of its own: a number, and the same number back. A stream
// is a connection that lives on and has each line returned. The answering side ends
// the connection of a request, so that the asking side has no port that waits. It answers
// health checks, too, as it is told to.
//
// Command hack/lab-traffic runs both sides in a namespace, in processes of their own
// that the race detector does not slow down.
package traffic
