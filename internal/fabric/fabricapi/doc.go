// Package fabricapi is how programs speak with the fabric, the simulated
// physical world: the types of a simulated Hyper-V host, the reasons it refuses
// things for, and clients of a host's socket and of the admin socket.
//
// The protocol is plain: POST /<Operation> with a JSON body, over a unix
// socket. A refusal is status 409 with a Refusal as the body.
//
// Only types and clients belong here, on the standard library alone, so that a
// development agent links neither the fabric nor Kubernetes.
package fabricapi
