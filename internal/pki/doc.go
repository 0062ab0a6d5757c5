// Package pki makes the manager and its agents, host agents and LB agents
// alike, recognise each other: keys, certificates, enrolment and renewal. It
// knows nothing of gRPC, of files other than the agent's state directory, or of
// Kubernetes: whoever uses it brings connections, carries its messages and
// stores what it is told to store. Only the standard library may enter.
//
// # Identity is a key
//
// An agent's identity is the ECDSA P-256 key that it made at its first start
// and that never leaves its state directory. The manager's is the key of its
// CA. Each side pins the other's, as the SHA-256 of its SubjectPublicKeyInfo,
// when the agent is enrolled. Certificates carry these keys into TLS and are
// short-lived; when they run out, the keys are still there, so Renew heals any
// outage without a hand. A revoked key is refused everywhere, Renew included.
//
// # Enrolment
//
// The admin gives a one-time token to the manager and to one agent. The manager
// dials; TLS 1.3 proves that the agent holds the private key of the certificate
// it shows, but not yet whose agent it is.
//
//	manager                                                    agent (armed)
//	   |------------- TLS 1.3; binding = RFC 9266 exporter ---------->|
//	   | EnrolRequest{token ID, CA, P1}                               |
//	   |  P1 = MAC("manager asks")                                    |
//	   |------------------------------------------------------------->| checks P1
//	   |                                EnrolResponse{P2}             |
//	   |                                 P2 = MAC("agent answers", P1)|
//	   |<-------------------------------------------------------------|
//	   | checks P2, records the agent's pin, and only then            |
//	   | certifies the key of this TLS connection                     |
//	   | InstallRequest{token ID, CA, certificate, P3}                |
//	   |  P3 = MAC("manager certifies", certificate)                  |
//	   |------------------------------------------------------------->| checks P3, records
//	   |                                InstallResponse{}             | certificate and CA,
//	   |<-------------------------------------------------------------| burns the token
//
// MAC is HMAC-SHA256 under a key that HKDF derives from the token's secret for
// that role, over the binding, the token's ID, the agent's pin, the CA
// certificate, and what the step adds; every field has its length in front.
//
//   - A man in the middle holds two TLS connections with two bindings; a proof
//     made on one is wrong on the other. So is a proof that is replayed later.
//   - A proof that is sent back to its author is wrong: the roles' keys differ.
//   - The manager signs nothing before P2, and then only the key that the
//     handshake proved. The agent trusts no CA before P3, and looks into no
//     certificate that an unproven party sent it.
//   - The secret has 256 bits, so a proof gives an eavesdropper or an impostor
//     nothing to guess offline. Online, wrong proofs are slowed down.
//   - The agent keeps nothing between the steps. Whatever breaks off, the
//     manager starts over: the token lives until the enrolment is on the agent's
//     disk, and from then on the same CA key on the manager's side is enough.
//     Because the pin is recorded before the certificate is sent, the manager
//     never meets an enrolled agent that it does not know.
//   - The enrolment is one atomic file. Of two managers that hold the token at
//     once, one wins, and the other is told ErrAlreadyEnrolled.
//
// Both steps must travel on the connection whose state they were made from.
//
// # Every later connection
//
// The handshake judges keys and issuers; the dates are judged on the manager's
// side by ClientConfig (and not by RenewConfig), on the agent's by
// Peer.Authorize for each call, with the one exception of Renewing. TLS session
// resumption is off, so no handshake skips the judgement.
package pki
