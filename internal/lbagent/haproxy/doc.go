// Package haproxy makes a running HAProxy do what a plan says, and disturbs
// nothing that is the same before and after: it renders the configuration file,
// has it checked, changes servers through the runtime API, and reloads through
// the master socket for what the runtime API cannot do. The file is written
// first, so that an HAProxy that comes up alone comes up with the same.
//
// It starts and stops no HAProxy, and never restarts one. What runs is asked of
// HAProxy itself each time: nothing that this package remembers could be wrong
// after a crash of either. Nothing of Kubernetes and no VRRP may enter.
package haproxy
