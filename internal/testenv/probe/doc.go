// Package probe asks an API server for something small, again and again at a
// steady pace, as kubectl would, and tells of every request that failed and of
// how long nobody was answered.
//
// It knows of no cluster but the one address that it is given: what is a fault to
// be expected, and when, is its caller's to say.
package probe
