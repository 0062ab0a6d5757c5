// Package agentcmd is the command line of the host agent. The drivers that a
// build has are handed in, so that the shipped agent and the development agent
// are one command with different drivers.
//
// No driver may enter.
package agentcmd
