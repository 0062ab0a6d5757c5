// Package cmdline is what the commands of agents have in common: flags for the
// log, the table of flags in --help, how misuse is answered, and exit codes.
//
// Only the standard library may enter: every shipped agent links it.
package cmdline
