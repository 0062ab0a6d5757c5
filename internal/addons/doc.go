// Package addons decides what an addon of a workload cluster consists of: it reads
// manifests, makes those of the network plugin that Capstan brings, puts objects into
// the order in which they can be applied, and judges whether they are well.
//
// It is pure: it reaches no API server and no clock. Manifests are somebody else's text;
// whatever is wrong with them is an error that says where, and nothing of them is
// trusted before it was looked at.
package addons
