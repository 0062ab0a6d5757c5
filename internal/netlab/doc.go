// Package netlab is a laboratory of network namespaces: nodes on one switch, each
// with programs of its own, and the levers of an operator's bad day. A link is cut,
// frames are lost in one direction, a node's power fails, a node is frozen.
//
// A program that uses it calls Enter first. What follows runs in network, process
// and mount namespaces of its own, with a /run of its own. The kernel takes all of
// it away with the program, however that ends: nothing is left to clean up, and no
// two runs meet.
//
// Networks of 127.0.0.0/8 are as good as others. A program that was connected has
// its nodes reached from where it was started, by one device there, which the kernel
// takes away, too.
//
// It knows nothing of load balancers and needs root and iproute2; losing frames
// needs nftables.
package netlab
