// Package demoenv is the whole product on one machine: a management API server,
// the manager, simulated hosts with their agents, each a process of the real
// programs, all in one folder and on loopback alone. The demo and the tests that
// kill processes use it.
//
// What a story does with the environment belongs to its teller, not here.
package demoenv
