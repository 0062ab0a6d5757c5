// Package servingcert gives the manager's webhook server its certificate: it
// makes a certificate authority and a serving certificate, keeps both in one
// Secret, renews them while the manager runs, and keeps the API server's trust
// in them (the caBundle of webhook configurations and CRD conversions) whole.
// docs/adr/0002-serving-certificates.md says why the manager does this itself.
//
// The room knows certificates and three kinds of webhook clients, nothing of
// what the webhooks do. Besides the standard library only controller-runtime's
// client, the API types it patches and an injected clock may enter. Host and
// agent identities are internal/pki's business, not this room's.
package servingcert
