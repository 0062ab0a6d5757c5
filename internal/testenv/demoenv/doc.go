// Package demoenv is the whole product on one machine: a management API server, the
// manager, and hosts with their agents, each a process of the real programs, all in one
// folder. Hosts are simulated, and all is on loopback; or they are of machine containers
// with real guests, which takes root and has networks of the machine's own. The demo, the
// end-to-end run and the tests that kill processes use it.
//
// What a story does with the environment belongs to its teller, not here.
package demoenv
