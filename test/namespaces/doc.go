// Package namespaces lets several teams have clusters of one name on the same
// hosts and network, each in a namespace of its own, and takes the namespaces away
// at moments of all kinds. Nothing may be left of them, and nothing may happen to
// the neighbours.
package namespaces
