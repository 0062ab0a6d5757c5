// Package fabric is the simulated physical world: Hyper-V hosts with their
// processors, memory, switches and volumes, failover clusters, images, disks
// and generation 2 VMs, and the guests that run in them.
//
// It behaves as the hosts do and refuses what they refuse. It knows nothing of
// Capstan: whoever wants something of a host comes through that host's socket,
// and whoever wants to break something, or to see all there is, through the
// admin socket (see fabricapi). Its state is on disk; when its process is
// started again, VMs that ran come back running.
//
// It is for development and tests. Nothing that is shipped imports it, and it
// imports nothing of the manager or the agents.
package fabric
