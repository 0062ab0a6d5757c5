// Package machinehosts has this machine be several hosts of machine containers, for
// programs and suites that bring the whole product up with real guests. It says how
// their agents are started, takes the power from a host and gives it back, keeps what
// guests tell of themselves, and takes all of it off the machine again.
//
// The hosts themselves are those of internal/driver/machinectr. Nothing that knows
// Kubernetes may enter.
package machinehosts
