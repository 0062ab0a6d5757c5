// Package trust keeps what the manager and its agents recognise each other by:
// the key of the manager's CA and the pins of the agents' keys, in Secrets.
//
// Who is trusted, and why, is decided in internal/pki. This room only makes sure
// that what was decided is stored before anybody relies on it, and that it is
// stored once. Nothing here dials.
package trust
