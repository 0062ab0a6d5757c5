// Package hypervmachine fulfils Cluster API's InfraMachine contract: one
// VirtualMachine for each HyperVMachine, with the identity that its node's
// providerID bears.
//
// It also says which machines must be replaced, and asks Cluster API to do so: those whose
// host is lost, whose volume has a fault or whose VM is gone, and those that somebody wants
// to be replaced or whose host is being drained, one after the other. It replaces none
// itself, and keeps Cluster API from it while most of what there is has gone at once.
//
// Source: Cluster API book, contract rules for InfraMachine.
package hypervmachine
