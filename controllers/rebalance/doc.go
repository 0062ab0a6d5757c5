// Package rebalance tells how unevenly the machines of a WorkloadCluster are spread over
// hosts and volumes, and has them replaced for it, one after the other, if somebody asks
// by the annotation capstan.dev/rebalance.
//
// It only chooses whose turn it is, and says so on the Machine as a person would who wants
// another one. What is even is for internal/placement to say, and when and how cautiously a
// machine is replaced for the HyperVMachine controller, which knows the budget. Nothing that
// deletes or makes anything may enter.
//
// It always ends: a machine that is younger than the request stays, so that each is replaced
// once at most, whatever becomes free meanwhile.
package rebalance
