// Package probe asks an API server for something small, as kubectl would, or a web
// server, as curl would, again and again at a steady pace, and tells of every request
// that failed and of how long nobody was answered.
//
// It knows of no cluster but the one address that it is given: what is a fault to
// be expected, and when, is its caller's to say.
package probe
