// Command image-check proves that a node image boots: QEMU with UEFI firmware brings
// it up with a seed as Capstan makes it, and once more when the seed has gone. What
// the guest says of itself on its serial console decides.
//
// QEMU emulates, so that it works where there is no KVM; it is slow, and its seconds
// mean nothing for Hyper-V.
package main
