package pki

import (
	"crypto/x509"
	"time"
)

// Lifetimes, counted from the moment of issue.
const (
	// LeafLifetime is how long a manager's or an agent's certificate is good.
	LeafLifetime = 7 * 24 * time.Hour
	// CALifetime is how long a CA certificate is good. Its key lives on.
	CALifetime = 10 * 365 * 24 * time.Hour
	// Backdate is how far before its issue a certificate begins: a clock that
	// was set in the wrong time zone, or is a day late, still works.
	Backdate = 25 * time.Hour
	// MaxConnectionAge is the longest that a server should keep a connection.
	// An open connection goes on showing the certificate it began with, and
	// every call is judged by it.
	MaxConnectionAge = 12 * time.Hour
)

// Clock returns the present time.
type Clock func() time.Time

// NeedsRenewal reports whether two thirds of the certificate's life have
// passed, or whether it has not begun yet.
func NeedsRenewal(cert *x509.Certificate, now time.Time) bool {
	life := cert.NotAfter.Sub(cert.NotBefore)
	return now.Before(cert.NotBefore) || !now.Before(cert.NotBefore.Add(life/3*2))
}
