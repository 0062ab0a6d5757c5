// Package daemon is how load-balancer agents deal with a daemon that somebody else
// runs: files that it reads are replaced whole, its own program judges them first,
// and what it says is cut to a line. What any daemon's files and commands mean is
// none of its business.
package daemon
