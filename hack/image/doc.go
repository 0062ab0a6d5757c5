// Command image makes the node image that images/linux describes: the plain tree of
// a guest's root file system, a store of preloaded container images, and disks for
// QEMU and Hyper-V.
//
// It works in steps. Each leaves a folder that is named by a hash of all that went
// into it, so that a step whose input is unchanged costs nothing, and puts that
// folder in place whole. Steps that need mounts make them in a mount namespace of
// their own, which goes with the process: however a run ends, no mount and no
// loop device is left.
//
// What is in the image is decided in images/linux/image.yaml; nothing of that may
// enter here.
package main
